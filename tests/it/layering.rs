//! The rules of this code base that no compiler checks: which room may use which, and what each file has to have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rooms and their levels, as `src/lib.rs` documents them; a room uses rooms of lower levels, and those of its own
/// level that are named for it.
const ROOMS: [(&str, u8, &[&str]); 28] = [
    ("error", 0, &[]),
    ("clock", 0, &[]),
    ("fault", 0, &[]),
    ("shutdown", 0, &[]),
    ("slots", 0, &[]),
    ("access", 0, &[]),
    ("context", 0, &["access", "quota"]),
    ("quota", 0, &["access", "error"]),
    ("config", 0, &["access"]),
    ("pb", 0, &["error"]),
    (
        "audit",
        0,
        &["access", "clock", "context", "error", "pb", "shutdown"],
    ),
    ("telemetry", 0, &["config"]),
    ("tls", 0, &["access", "shutdown"]),
    ("secrets", 0, &[]),
    ("signature", 0, &["pb"]),
    ("egress", 0, &["config", "shutdown", "tls"]),
    ("task", 1, &[]),
    ("agent", 1, &["task"]),
    ("repository", 2, &[]),
    ("bus", 2, &[]),
    ("execution", 3, &[]),
    ("push", 3, &[]),
    ("service", 4, &[]),
    ("server", 5, &[]),
    ("auth", 5, &[]),
    ("api", 5, &["auth", "server"]),
    ("client", 5, &[]),
    ("app", 6, &[]),
];

/// The binary uses the library like anybody else.
const BINARY: [&str; 2] = ["main", "cli"];

const LINES_MAX: usize = 400;

/// A source file without its comments and its unit tests.
struct Source {
    path: String,
    room: String,
    text: String,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    let all: Vec<Source> = files.iter().map(|file| source(file)).collect();
    assert!(all.len() > 100, "{} files", all.len());
    all
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn source(file: &Path) -> Source {
    let path = file
        .strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .replace('\\', "/");
    let text = std::fs::read_to_string(file).unwrap();
    let inner = path.strip_prefix("src/").unwrap();
    let room = inner.split(['/', '.']).next().unwrap().to_owned();
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = body
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    Source {
        path,
        room,
        text,
        code,
    }
}

fn level(room: &str) -> (u8, &'static [&'static str]) {
    let found = ROOMS.iter().find(|(name, ..)| *name == room);
    let (_, level, beside) = found.unwrap_or_else(|| panic!("the room {room} has no level; give it one"));
    (*level, beside)
}

/// The rooms that the code names by `crate::`, in lists of imports too.
fn used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => rooms.extend(heads(list)),
            // A macro stands at the root of the crate, whatever room it comes from.
            None if rest[word(rest).len()..].starts_with('!') => {}
            None => rooms.push(word(rest)),
        }
    }
    rooms
}

/// The first words of the entries of a list, up to its closing brace.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut expects) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects = true,
            c if expects && c.is_alphanumeric() => {
                heads.push(word(&list[at..]));
                expects = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// What is wrong with using a room from another, if anything.
fn judge(room: &str, used: &str) -> Option<String> {
    if room == used {
        return None;
    }
    let ((own, beside), (other, _)) = (level(room), level(used));
    let is_fine = other < own || beside.contains(&used);
    (!is_fine).then(|| format!("{room} (level {own}) uses {used} (level {other})"))
}

fn fail_with(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn arrows_point_down() {
    let (mut wrong, mut arrows) = (Vec::new(), BTreeMap::new());
    for source in sources() {
        for used in used(&source.code) {
            if source.room == "lib" || BINARY.contains(&source.room.as_str()) {
                // The binary has a room `cli` of its own and no other.
                if used != "cli" {
                    wrong.push(format!(
                        "{}: names crate::{used}; use the library's public names",
                        source.path
                    ));
                }
                continue;
            }
            *arrows.entry((source.room.clone(), used.clone())).or_insert(0) += 1;
            wrong.extend(judge(&source.room, &used).map(|why| format!("{}: {why}", source.path)));
        }
    }
    fail_with(&wrong);
    assert!(
        arrows.contains_key(&("service".to_owned(), "execution".to_owned())),
        "nothing was read: {arrows:?}"
    );
}

#[test]
fn the_test_sees_an_upward_arrow() {
    let code = "use crate::{task, agent::{Agent, Agents}, api::Api};\nfn f() { crate::service::g() }";
    assert_eq!(used(code), ["task", "agent", "api", "service"]);
    assert!(judge("repository", "bus").is_some(), "ports don't use each other");
    assert!(judge("task", "agent").is_some());
    assert!(judge("execution", "service").is_some());
    assert!(judge("service", "execution").is_none());
}

#[test]
fn every_documented_room_has_a_level_and_is_there() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let public: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(public.len(), ROOMS.len());
    for (room, ..) in ROOMS {
        assert!(public.contains(&room), "{room} is not public");
        assert!(
            lib.contains(&format!("[`{room}`]")),
            "{room} is not in the table of src/lib.rs"
        );
    }
}

/// Only these files may name a thing.
const BOUND: [(&str, &[&str]); 9] = [
    ("sea_orm::", &["src/repository/sea_orm/"]),
    ("sqlx::", &["src/repository/sea_orm/"]),
    // ProtoJSON is a form of the messages themselves, as JSON is of tokens, key sets and what is signed; the command line
    // prints JSON, audit records are lines of it; keys of TOML are quoted like JSON; a list is one value of a statement.
    (
        "serde_json",
        &[
            "src/api/",
            "src/pb/",
            "src/cli/",
            "src/auth/jwt/",
            "src/signature/",
            "src/audit/",
            "src/client/card/",
            "src/client/credential/",
            "src/config/layers.rs",
            "src/repository/sea_orm/push/sql.rs",
        ],
    ),
    (
        "http::Response",
        &[
            "src/api/",
            "src/server/",
            "src/client/",
            "src/egress/",
            "src/cli/",
        ],
    ),
    (
        "HeaderMap",
        &[
            "src/api/",
            "src/server/",
            "src/client/",
            "src/cli/",
            "src/auth/presented.rs",
            "src/signature/message/",
        ],
    ),
    // A transaction that fails leaves a connection that must not be used again; those of opening go with it.
    ("begin_with_options", &["src/repository/sea_orm/transaction.rs"]),
    (".begin().await", &["src/repository/sea_orm/connect.rs"]),
    ("tokio::spawn", &["src/shutdown.rs"]),
    ("TaskTracker", &["src/shutdown.rs"]),
];

#[test]
fn things_stay_in_their_room() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (thing, homes) in BOUND {
            // Ours is called like the crate that it wraps.
            let code = source.code.replace("repository::sea_orm::", "");
            if code.contains(thing) && !homes.iter().any(|home| source.path.starts_with(home)) {
                wrong.push(format!("{} names {thing}; only {homes:?} may", source.path));
            }
        }
    }
    fail_with(&wrong);
}

#[test]
fn files_begin_with_what_they_are_and_end_before_they_are_long() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            wrong.push(format!("{} does not begin with //!", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{} has {lines} lines; at most {LINES_MAX}", source.path));
        }
    }
    fail_with(&wrong);
}

#[test]
fn nothing_points_at_one_machine_or_is_left_to_do() {
    // Put together, so that this file does not find itself.
    let words = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "../".to_owned() + "shared",
    ];
    let places = ["wo", "ro", "ho"].map(|start| format!("/{start}{}/", rest_of(start)));
    let mut wrong = Vec::new();
    for file in tracked() {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let names_place = places.iter().any(|place| begins_path(line, place));
            if names_place || words.iter().any(|word| line.contains(word.as_str())) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_with(&wrong);
}

fn rest_of(start: &str) -> &'static str {
    match start {
        "wo" => "rk",
        "ro" => "ot",
        _ => "me",
    }
}

/// Whether a path begins with `place` here: in the middle of another path it is a folder like any other.
fn begins_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/}~".contains(c))
    })
}

/// The files that git knows; without git (a packaged crate) those of the usual folders.
fn tracked() -> Vec<String> {
    let listed = std::process::Command::new("git")
        .arg("ls-files")
        .current_dir(root())
        .output();
    let listed = listed
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty());
    match listed {
        Some(output) => String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
        None => sources().into_iter().map(|source| source.path).collect(),
    }
}

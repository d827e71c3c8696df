//! The program itself: help, settings, diagnostics, what it ships.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use super::super::site::{Reply, Site};
use super::super::world::{Checked, TRANSPORTS, World, ensure, field, finished};
use super::interaction::split;

const COMMANDS: [&[&str]; 17] = [
    &["auth", "login"],
    &["bench"],
    &["card", "get"],
    &["chat"],
    &["completion"],
    &["config", "show"],
    &["conformance"],
    &["demo-server"],
    &["send"],
    &["task", "cancel"],
    &["task", "download"],
    &["task", "get"],
    &["task", "list"],
    &["task", "push-config", "create"],
    &["task", "push-config", "listen"],
    &["task", "subscribe"],
    &["skill"],
];

pub fn help(world: &World) -> Checked {
    let mut hands = world.user();
    for command in COMMANDS {
        let asked = hands.good(&[command, &["--help"]].concat())?.out;
        let helped = hands.good(&[&["help"][..], command].concat())?.out;
        ensure!(
            asked.contains("Usage: a2ad") && helped.contains("Usage: a2ad"),
            "{command:?}: {asked}"
        );
    }
    for flag in ["-v", "--version"] {
        let version = hands.good(&[flag])?.out;
        ensure!(
            version.trim() == format!("a2ad {}", env!("CARGO_PKG_VERSION")),
            "{version}"
        );
    }
    let usual = hands.good(&["send", "--help"])?.out;
    for default in [
        "[default: text]",
        "[default: 2s]",
        "[default: 10m]",
        "[default: 1.0]",
    ] {
        ensure!(usual.contains(default), "{default} is not in {usual}");
    }
    hands
        .user
        .environment
        .push(("A2ACLI_OUTPUT".into(), "json".into()));
    let changed = hands.good(&["send", "--help"])?.out;
    ensure!(
        changed.contains("[default: json]"),
        "the default in effect is not in {changed}"
    );
    Ok(())
}

pub fn completion(world: &World) -> Checked {
    let hands = world.user();
    for shell in ["bash", "zsh", "fish"] {
        let script = hands.good(&["completion", shell])?.out;
        ensure!(
            script.contains("a2ad") && script.contains("push-config"),
            "{shell}: {} bytes",
            script.len()
        );
    }
    ensure!(
        hands.run(&["completion", "no-such-shell"]).code == 2,
        "any shell is taken"
    );
    Ok(())
}

/// Where it stands, who can read it, that it can be looked at, and that no run is remembered in it.
pub fn persisted(world: &World) -> Checked {
    let hands = world.user();
    let folder = hands.user.home().join(".config/a2a-cli");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(".env");
    let agent = world.agent("echo");
    std::fs::write(
        &file,
        format!("A2ACLI_AGENT_CARD={agent}\nA2ACLI_BEARER=hidden-4715\n"),
    )
    .unwrap();
    mode(&file, 0o644);
    let shown = hands.good(&["config", "show"])?;
    ensure!(
        shown.err.contains("others can read it"),
        "no warning: {}",
        shown.err
    );
    ensure!(!shown.out.contains("hidden-4715"), "{}", shown.out);
    mode(&file, 0o600);
    let shown = hands.good(&["config", "show"])?;
    ensure!(!shown.err.contains("others can read it"), "{}", shown.err);
    ensure!(
        field(&shown.out, "agent-card")?.contains(&file.display().to_string()),
        "{}",
        shown.out
    );
    let before = std::fs::read(&file).unwrap();
    hands.good(&["send", "hello"])?;
    ensure!(
        std::fs::read(&file).unwrap() == before,
        "a send has changed the settings"
    );
    std::fs::remove_file(&file).unwrap();
    ensure!(
        hands.run(&["send", "hello"]).code == 2,
        "the settings live on without their file"
    );
    Ok(())
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Option, environment, local file, global file, default; each source is named.
pub fn precedence(world: &World) -> Checked {
    let mut hands = world.user();
    let shown = |hands: &super::super::world::Hands<'_>, more: &[&str]| {
        let run = hands.good(&[&["config", "show"][..], more].concat())?;
        Ok::<String, String>(field(&run.out, "timeout")?.to_owned())
    };
    let built_in = shown(&hands, &[])?;
    ensure!(
        built_in.contains("10m") && built_in.contains("default"),
        "{built_in}"
    );
    let folder = hands.user.home().join(".config/a2a-cli");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |path: PathBuf, time: &str| std::fs::write(path, format!("A2ACLI_TIMEOUT={time}\n")).unwrap();
    write(folder.join(".env"), "1m");
    let global = shown(&hands, &[])?;
    ensure!(
        global.contains("1m") && global.contains(".config/a2a-cli/.env"),
        "{global}"
    );
    write(hands.user.work().join(".env"), "2m");
    let local = shown(&hands, &[])?;
    ensure!(local.contains("2m") && !local.contains(".config"), "{local}");
    write(hands.user.work().join("agent.env"), "3m");
    let named = shown(&hands, &["--config", "agent.env"])?;
    ensure!(named.contains("3m") && named.contains("agent.env"), "{named}");
    hands
        .user
        .environment
        .push(("A2ACLI_TIMEOUT".into(), "4m".into()));
    let environment = shown(&hands, &["--config", "agent.env"])?;
    ensure!(
        environment.contains("4m") && environment.contains("A2ACLI_TIMEOUT"),
        "{environment}"
    );
    let flag = shown(&hands, &["--timeout", "5m"])?;
    ensure!(flag.contains("5m") && flag.contains("flag"), "{flag}");
    let help = hands.good(&["send", "--help"])?.out;
    ensure!(
        help.contains("[default: 4m]"),
        "the environment is not in the help"
    );
    Ok(())
}

/// What goes over the wire, on standard error, on each binding.
pub fn debug(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let send = [
            "send",
            "-a",
            &world.agent("echo"),
            "--transport",
            transport,
            "-o",
            "json",
            "hello-wire",
        ];
        let quiet = hands.good(&send)?;
        ensure!(
            !quiet.err.contains("hello-wire"),
            "without being asked: {}",
            quiet.err
        );
        let run = hands.good(&[&send[..], &["--debug"]].concat())?;
        ensure!(
            run.err.matches("hello-wire").count() >= 2,
            "{transport}: {}",
            run.err
        );
        let _: serde_json::Value = serde_json::from_str(&run.out).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A good agent passes by every interface, a bad one is told by name; neither is the program's failure.
pub fn conformance(world: &World) -> Checked {
    let hands = world.user();
    let report = hands.json(&[
        "conformance",
        "-a",
        &world.agent("conformance"),
        "--text",
        "tck-complete-task",
    ])?;
    ensure!(
        report["failed"] == 0 && report["passed"].as_u64() >= Some(30),
        "{report}"
    );
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    for binding in ["GRPC", "JSONRPC", "HTTP+JSON"] {
        let count = checks.iter().filter(|check| check["on"] == binding).count();
        ensure!(count == 14, "{count} checks by {binding}");
    }
    let bad = Site::agent(json!({}), |_, _| Reply::Json(200, json!({"task": {"id": "t"}})));
    let url = bad.url();
    let check = ["conformance", "-a", &url, "--check-timeout", "5s"];
    let run = hands.good(&check)?;
    ensure!(
        run.out.contains("Fail: HTTP+JSON: an unknown task can't be got"),
        "{}",
        run.out
    );
    let strict = hands.run(&[&check[..], &["--strict"]].concat());
    ensure!(strict.code == 1, "--strict ended with {}", strict.code);
    Ok(())
}

/// A server to try things on, with what is needed for a first call.
pub fn demo_server(world: &World) -> Checked {
    let hands = world.user();
    let mut child = hands
        .command(&["demo-server"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut told = String::new();
    let is_ready = lines.any(|line| {
        told.push_str(&line);
        told.push('\n');
        line.starts_with("End: ")
    });
    let tried = is_ready.then(|| try_out(world, &told));
    child.kill().unwrap();
    child.wait().unwrap();
    let files = std::fs::read_dir(hands.user.work()).unwrap().count();
    ensure!(files == 0, "it left {files} files");
    tried.unwrap_or_else(|| Err(format!("it is not ready: {told}")))
}

fn try_out(world: &World, told: &str) -> Checked {
    let hands = world.user();
    let card = field(told, "Agent card")?;
    hands.good(&["card", "get", "-a", card])?;
    let command = field(told, "Try")?;
    let words = split(command);
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let run = finished(hands.command(&words));
    ensure!(
        run.code == 0 && run.out.contains("COMPLETED"),
        "{command}: {}{}",
        run.out,
        run.err
    );
    for agent in ["conformance", "bench"] {
        hands.good(&["card", "get", "-a", &format!("{card}/{agent}")])?;
    }
    Ok(())
}

/// One, small, general, and what it names is there.
pub fn skill(world: &World) -> Checked {
    let hands = world.user();
    let skills = std::fs::read_dir(&world.skill).unwrap().count();
    ensure!(skills == 1, "{skills} skills");
    let text = std::fs::read_to_string(world.skill.join("a2ad/SKILL.md")).unwrap();
    ensure!(
        text.len() <= 4_000 && text.lines().count() <= 60,
        "it is {} bytes",
        text.len()
    );
    let (head, body) = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
        .ok_or("no front matter")?;
    for name in ["name: a2ad", "description: ", "compatibility: "] {
        ensure!(
            head.lines().any(|line| line.starts_with(name)),
            "no {name} in {head}"
        );
    }
    ensure!(
        body.contains("a2ad help") && body.contains("--help"),
        "it does not lead to the help"
    );
    let examples = std::fs::read_to_string(world.skill.join("a2ad/references/examples.md")).unwrap();
    let mut named = 0;
    for command in commands(&format!("{body}\n{examples}")) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        hands.good(&[&words[..], &["--help"]].concat())?;
        named += 1;
    }
    ensure!(named >= 8, "only {named} commands were found");
    let printed = hands.good(&["skill"])?.out;
    ensure!(printed == text, "the program prints another one");
    hands.good(&["skill", "--install"])?;
    let installed = hands.user.work().join(".agents/skills/a2ad");
    ensure!(
        std::fs::read_to_string(installed.join("SKILL.md")).unwrap() == text,
        "another one is installed"
    );
    ensure!(
        installed.join("references/examples.md").is_file(),
        "without its examples"
    );
    Ok(())
}

/// The words of commands behind each `a2ad`, up to the first that is none.
fn commands(text: &str) -> Vec<Vec<String>> {
    let all = text.split("a2ad ").skip(1).map(|rest| {
        let words = rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
        words
            .take_while(|word| !word.is_empty() && !word.starts_with('-') && *word != "help")
            .take(3)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    // `a2ad` also is a name: what follows has to be a command.
    let heads = ["send", "task", "card", "demo-server"];
    all.filter(|words| words.first().is_some_and(|word| heads.contains(&word.as_str())))
        .map(|words| match words[0].as_str() {
            "task" | "card" => words.into_iter().take(2).collect(),
            _ => words.into_iter().take(1).collect(),
        })
        .collect()
}

/// Says how, and not what an implementation must do.
pub fn skill_is_guidance(world: &World) -> Checked {
    for file in ["SKILL.md", "references/examples.md"] {
        let text = std::fs::read_to_string(world.skill.join("a2ad").join(file)).unwrap();
        for word in [
            "MUST",
            "SHALL",
            "SHOULD",
            " REQUIRED",
            "A2ACLI_CARD",
            "A2ACLI_SEND",
            "specification",
            "\u{a7}",
        ] {
            ensure!(!text.contains(word), "{file} restates a requirement: {word}");
        }
    }
    Ok(())
}

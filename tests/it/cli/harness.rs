//! Runs of the program, and the files that say what each of them prints.
//!
//! A golden file holds command lines, exit statuses and everything that was printed, in order. What is different each time is
//! replaced: addresses by AGENT, ids by ID-1 and so on in the order of their appearance, times by TIME, the folder by DIR.
//! `A2AD_GOLDEN=write` writes the files anew; read the difference before you commit it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binary::{PROGRAM, Server};

/// What one run printed.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.out, self.err))
    }

    /// The `code` of the failure in standard output.
    pub fn failure(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// A user: a folder to work in, a home of its own, nothing of this machine's settings.
pub struct User {
    folder: tempfile::TempDir,
    /// Names of the environment with their values.
    pub environment: Vec<(String, String)>,
}

impl User {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "work"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self {
            folder,
            environment: Vec::new(),
        }
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A program that was not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .envs(self.environment.iter().cloned())
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A scenario in the making.
pub struct Story<'a> {
    name: &'static str,
    pub user: User,
    server: &'a Server,
    text: String,
    ids: Vec<String>,
}

impl<'a> Story<'a> {
    pub fn new(name: &'static str, server: &'a Server) -> Self {
        Self {
            name,
            user: User::new(),
            server,
            text: String::new(),
            ids: Vec::new(),
        }
    }

    /// Runs a command line, in which AGENT stands for the server's address, and writes down what it does.
    pub fn tell(&mut self, arguments: &[&str]) -> Run {
        let address = self.server.addr.to_string();
        let real: Vec<String> = arguments
            .iter()
            .map(|word| word.replace("AGENT", &address))
            .collect();
        let run = self
            .user
            .run(&real.iter().map(String::as_str).collect::<Vec<_>>());
        let line: Vec<String> = real.iter().map(|word| shown(word)).collect();
        let mut text = format!("$ a2ad {}\nstatus {}\n", line.join(" "), run.code);
        for (name, printed) in [("out", &run.out), ("err", &run.err)] {
            if !printed.is_empty() {
                let _ = write!(text, "--- {name}\n{printed}");
            }
        }
        text.push('\n');
        let text = self.normalised(&text);
        self.text.push_str(&text);
        run
    }

    fn normalised(&mut self, text: &str) -> String {
        let folder = self.user.folder.path().display().to_string();
        let text = text
            .replace(&self.server.addr.to_string(), "AGENT")
            .replace(&folder, "DIR")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let mut rest = &*text;
        let mut normal = String::new();
        while let Some(first) = rest.chars().next() {
            if let Some(id) = rest.get(..36).filter(|text| is_id(text)) {
                let place = self.ids.iter().position(|known| known == id);
                let place = place.unwrap_or_else(|| {
                    self.ids.push(id.to_owned());
                    self.ids.len() - 1
                });
                let _ = write!(normal, "ID-{}", place + 1);
                rest = &rest[36..];
            } else if let Some(token) = rest.strip_prefix("--page-token AA") {
                // Nobody knows what is in it.
                normal.push_str("--page-token TOKEN");
                rest = &token[token.find(char::is_whitespace).unwrap_or(token.len())..];
            } else if let Some(length) = time_at(rest) {
                normal.push_str("TIME");
                rest = &rest[length..];
            } else {
                normal.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        normal
    }

    /// Compares with the golden file.
    pub fn end(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/cli/golden")
            .join(format!("{}.txt", self.name));
        if std::env::var_os("A2AD_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, &self.text).unwrap();
            return;
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (is, should)) in self.text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, should, "line {} of {}", number + 1, path.display());
        }
        assert_eq!(self.text, golden, "{}", path.display());
    }
}

fn shown(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,".contains(&byte);
    match word.bytes().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{word}'"),
    }
}

fn is_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// The length of the time that a text begins with: 2026-01-31T12:00:00.123Z.
fn time_at(text: &str) -> Option<usize> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let head = text.as_bytes().get(..FORM.len())?;
    let fits = head.iter().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    });
    let end = text[FORM.len()..].find('Z').filter(|end| *end <= 10)?;
    fits.then_some(FORM.len() + end + 1)
}

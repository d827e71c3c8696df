//! What the checks have at hand: the program, our own server on three bindings, and ways to judge a run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use super::super::harness::{Run, User};
use crate::binary::{PROGRAM, Server};

/// What a check comes to; why it failed as an error.
pub type Checked = Result<(), String>;

/// The transports, as `--transport` names them.
pub const TRANSPORTS: [&str; 3] = ["grpc", "jsonrpc", "http+json"];

/// Fails with a sentence unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(super) use ensure;

/// The program under test with the skill that it ships, and a server to try it on.
pub struct World {
    pub server: Arc<Server>,
    pub skill: PathBuf,
    program: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let server = Server::start(&["--database", "memory", "--allow-loopback-webhooks"]);
        Self {
            server: Arc::new(server),
            skill: Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/skill"),
            program: PathBuf::from(PROGRAM),
        }
    }

    /// The same with another program.
    pub fn with(&self, program: &Path) -> Self {
        Self {
            server: self.server.clone(),
            skill: self.skill.clone(),
            program: program.to_owned(),
        }
    }

    /// The reference of an agent of the server.
    pub fn agent(&self, name: &str) -> String {
        format!("{}/{name}", self.server.url())
    }

    /// A user at the program.
    pub fn user(&self) -> Hands<'_> {
        Hands {
            world: self,
            user: User::new(),
        }
    }
}

/// A user who runs the program.
pub struct Hands<'a> {
    world: &'a World,
    pub user: User,
}

impl Hands<'_> {
    pub fn command(&self, arguments: &[&str]) -> Command {
        let made = self.user.command(arguments);
        let mut command = Command::new(&self.world.program);
        command
            .args(made.get_args())
            .env_clear()
            .current_dir(self.user.work());
        // A program that stands in needs others.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in made.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        finished(self.command(arguments))
    }

    /// A run to which these lines are said.
    pub fn told(&self, arguments: &[&str], lines: &str) -> Run {
        use std::io::Write as _;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads nothing has ended; what it says is judged.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        of(child.wait_with_output().unwrap())
    }

    /// A run that has to succeed.
    pub fn good(&self, arguments: &[&str]) -> Result<Run, String> {
        let run = self.run(arguments);
        ensure!(
            run.code == 0,
            "{arguments:?} ended with {}: {}{}",
            run.code,
            run.out,
            run.err
        );
        Ok(run)
    }

    /// The one document of a run that has to succeed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let run = self.good(&[arguments, &["-o", "json"]].concat())?;
        document(&run)
    }

    /// The error of a run that has to fail so.
    pub fn fails(&self, arguments: &[&str], code: &str, exit: i32) -> Result<Value, String> {
        let run = self.run(&[arguments, &["-o", "json"]].concat());
        let error = document(&run)?["error"].clone();
        ensure!(
            error["code"] == code && run.code == exit,
            "{arguments:?} ended with {} and {error}; expected {exit} and {code}",
            run.code
        );
        ensure!(
            error["message"].is_string(),
            "{arguments:?}: no message in {error}"
        );
        Ok(error)
    }
}

pub fn finished(mut command: Command) -> Run {
    of(command.output().unwrap())
}

fn of(output: std::process::Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Standard output as exactly one document.
pub fn document(run: &Run) -> Result<Value, String> {
    serde_json::from_str(&run.out).map_err(|error| format!("{error}: {:?} {:?}", run.out, run.err))
}

/// Standard output as a document a line.
pub fn lines(run: &Run) -> Result<Vec<Value>, String> {
    let lines = run.out.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{error}: {:?}", run.out))
}

/// The first value of a field of text output.
pub fn field<'a>(text: &'a str, label: &str) -> Result<&'a str, String> {
    let start = format!("{label}: ");
    let found = text.lines().find_map(|line| line.strip_prefix(&start));
    found.ok_or_else(|| format!("no field {label} in {text:?}"))
}

/// The three fields that every answer about a task has.
pub fn identified(text: &str) -> Result<(&str, &str, &str), String> {
    Ok((
        field(text, "Task")?,
        field(text, "Context")?,
        field(text, "State")?,
    ))
}

/// The content of the first block.
pub fn block(text: &str, label: &str) -> Result<String, String> {
    let start = format!("{label}:");
    let mut rest = text.lines().skip_while(|line| *line != start).skip(1).peekable();
    if rest.peek().is_none() {
        return Err(format!("no block {label} in {text:?}"));
    }
    let content: Vec<&str> = rest.take_while(|line| !line.is_empty()).collect();
    Ok(content.join("\n"))
}

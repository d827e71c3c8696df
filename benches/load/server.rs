//! Servers as child processes: start, CPU time, memory, end.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::machine::{self, SERVER_CORE};
use crate::options::{Baseline, Options};
use crate::{Outcome, table};

/// A running server; ends with the value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The database, removed after the server.
    _directory: Option<TempDir>,
}

/// Where a2ad keeps its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Memory,
    Sqlite,
}

impl Store {
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
        }
    }
}

impl Server {
    /// The program under test. `settings` are KEY=VALUE pairs.
    pub fn a2ad(options: &Options, store: Store, agent: &str, settings: &[&str]) -> Outcome<Self> {
        let directory = match store {
            Store::Memory => None,
            Store::Sqlite => Some(directory(&options.dir)?),
        };
        let database = directory.as_ref().map_or("memory".to_owned(), |directory| {
            format!("sqlite://{}", directory.path().join("a2ad.db").display())
        });
        let mut command = pinned(&options.a2ad, options.pin);
        command.args([
            "serve",
            "--demo",
            "--listen",
            "127.0.0.1:0",
            "--default-agent",
            agent,
        ]);
        command.args(["--database", &database, "--set", "log.filter=warn"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        // Nothing but this command line decides how the server is set up.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("A2AD") {
                command.env_remove(name);
            }
        }
        Self::start(command, directory)
    }

    /// A bare server: this program in another part.
    pub fn baseline(options: &Options, which: Baseline) -> Outcome<Self> {
        let mut command = pinned(&std::env::current_exe()?, options.pin);
        command.arg(which.flag());
        Self::start(command, None)
    }

    fn start(mut command: Command, directory: Option<TempDir>) -> Outcome<Self> {
        // One worker for all servers alike: there is one core for them.
        command
            .env("TOKIO_WORKER_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("can't start {command:?}: {error}"))?;
        let stderr = child.stderr.take().ok_or("a server without stderr")?;
        match ready(stderr) {
            Ok(address) => Ok(Self {
                child,
                address,
                _directory: directory,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Processor time that the server has used so far, in the kernel as well as outside.
    pub fn cpu(&self) -> Outcome<Duration> {
        machine::cpu(&self.child.id().to_string())
    }

    /// Resident memory in bytes.
    pub fn memory_bytes(&self) -> Outcome<u64> {
        let text = machine::field(&format!("/proc/{}/status", self.child.id()), "VmRSS");
        let kb = text
            .as_deref()
            .and_then(machine::number)
            .ok_or("no VmRSS in /proc/PID/status")?;
        Ok(kb * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is measured any more and nothing is kept, so there is nothing to drain either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command on the servers' core that does not outlive this process.
pub fn pinned(program: &Path, pin: bool) -> Command {
    let mut words: Vec<&OsStr> = Vec::new();
    if machine::has("setpriv") {
        words.extend(["setpriv", "--pdeathsig", "KILL"].map(OsStr::new));
    }
    if pin && machine::can_pin() {
        words.extend(["taskset", "-c", SERVER_CORE].map(OsStr::new));
    }
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// A new directory for a database.
pub fn directory(within: &Path) -> Outcome<TempDir> {
    fs::create_dir_all(within)?;
    Ok(tempfile::Builder::new()
        .prefix("a2ad-bench-")
        .tempdir_in(within)?)
}

/// Waits for `ready ADDRESS`, then lets a thread read on, because a full pipe would stop the server.
fn ready(stderr: ChildStderr) -> Outcome<SocketAddr> {
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    for line in &mut lines {
        let line = line?;
        if let Some(address) = line.strip_prefix("ready ") {
            let address = address.trim().parse()?;
            std::thread::spawn(move || {
                lines
                    .map_while(Result::ok)
                    .filter(|line| is_log(line))
                    .for_each(table::note)
            });
            return Ok(address);
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(format!("the server ended before it was ready:\n{said}").into())
}

/// Tells warnings and errors from the greeting.
fn is_log(line: &str) -> bool {
    ["WARN", "ERROR", "panicked"]
        .iter()
        .any(|word| line.contains(word))
}

//! The server as a child process that can be ended at any moment.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Long, because a busy machine is no failure; and many times as long as a lease.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a task stays with a killed server: as short as a PostgreSQL on a busy machine allows, because what a lease
/// has to outlast bounds how long that may take to connect and to commit.
pub const LEASE: Duration = Duration::from_millis(3_000);
/// A short lease, so that tasks are taken over while the harness runs; small turns of retention.
const SETTINGS: [&str; 6] = [
    "execution.lease_ms=3000",
    "execution.sweep_interval_ms=100",
    "database.commit_timeout_ms=900",
    "database.connect_timeout_ms=1000",
    "retention.batch_events=8",
    "retention.pause_ms=0",
];

/// How to start the server.
#[derive(Clone, Debug)]
pub struct Program {
    pub binary: PathBuf,
    /// The working directory.
    pub dir: PathBuf,
    pub database_url: String,
}

/// A running server; killed when dropped.
pub struct Process {
    child: Child,
    ready: Option<oneshot::Receiver<SocketAddr>>,
}

impl Program {
    pub fn start(&self) -> Process {
        self.start_with(&[])
    }

    /// Starts the server with more variables in its environment.
    pub fn start_with(&self, variables: &[(&str, OsString)]) -> Process {
        let mut command = Command::new(&self.binary);
        command
            .args([
                "serve",
                "--demo",
                "--listen",
                "127.0.0.1:0",
                "--default-agent",
                "bench",
            ])
            .args(["--database", &self.database_url])
            .args(SETTINGS.iter().flat_map(|setting| ["--set", setting]))
            .current_dir(&self.dir)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        let ready = follow(child.stderr.take().expect("piped"));
        Process {
            child,
            ready: Some(ready),
        }
    }
}

impl Process {
    /// Waits until the server says that it is ready; `None` if it ended before that.
    pub async fn ready(&mut self) -> Option<SocketAddr> {
        let ready = self.ready.take().expect("asked once");
        let found = tokio::time::timeout(PATIENCE, ready).await;
        found.expect("the server is ready in time, or ends").ok()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("a running process can be killed");
        self.child.wait().expect("a killed process ends");
    }

    /// True once the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_some()
    }

    /// Asks the server to drain, and waits until it has.
    pub async fn drained(mut self) -> ExitStatus {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill is a command everywhere");
        assert!(sent.success(), "SIGTERM could not be sent");
        let started = Instant::now();
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        loop {
            looks.tick().await;
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not drain");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says `ready`; the sender is dropped when the log ends without one. Lines that tell of
/// something wrong go on to the harness's own output; the rest would drown it.
fn follow(log: ChildStderr) -> oneshot::Receiver<SocketAddr> {
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || {
        let mut send = Some(send);
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("ready ").and_then(|rest| rest.parse().ok()) {
                // Nobody listens any more when the harness has given up on this process.
                let _ = send.take().map(|send| send.send(address));
            } else if ["ERROR", "error", "panicked"]
                .iter()
                .any(|word| line.contains(word))
            {
                eprintln!("a2ad: {line}");
            }
        }
    });
    receive
}

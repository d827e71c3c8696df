//! The program itself as a child process, on a port that it chooses.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_a2ad");

/// A running `a2ad serve`; killed when dropped.
pub struct Server {
    pub addr: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts the demo agents with these arguments and waits until the program says that it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(Path::new("."), arguments)
    }

    /// The same in another working directory.
    pub fn start_in(dir: &Path, arguments: &[&str]) -> Self {
        Self::launch(Command::new(PROGRAM), dir, arguments)
    }

    /// The same from a shell that does something first and then becomes the program.
    pub fn start_after(shell: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}; exec \"$@\""), "sh", PROGRAM]);
        Self::launch(command, Path::new("."), arguments)
    }

    /// Starts a program that ends by itself at a fault point; `None` when it came there before it was ready.
    pub fn start_armed(point: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(PROGRAM);
        command.env("A2AD_FAULT_POINT", point);
        let mut child = spawn(command, Path::new("."), arguments);
        let addr = ready(child.stderr.take().expect("piped"));
        if addr.is_none() {
            let status = child.wait().expect("a child can be waited for");
            assert!(status.signal().is_some(), "{point} was to end it: {status}");
        }
        addr.map(|addr| Self { addr, child })
    }

    fn launch(command: Command, dir: &Path, arguments: &[&str]) -> Self {
        let mut child = spawn(command, dir, arguments);
        let addr = ready(child.stderr.take().expect("piped"));
        if addr.is_none() {
            let _ = child.kill();
            panic!("a2ad serve {arguments:?} did not become ready; its log is above");
        }
        let addr = addr.expect("checked");
        Self { addr, child }
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What a power cut would do to the process.
    pub fn kill(mut self) {
        self.child.kill().expect("a running process can be killed");
        self.child.wait().expect("a killed process ends");
    }

    /// Asks the process to drain.
    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill is a command everywhere");
        assert!(sent.success(), "SIGTERM could not be sent");
    }

    /// Waits until the process has ended by itself.
    pub fn ended(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the process did not end in {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(mut command: Command, dir: &Path, arguments: &[&str]) -> Child {
    command
        .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// The address in the line that says `ready`. The whole log goes on to the test's own output, because a pipe that
/// nobody reads would stop the server.
fn ready(log: ChildStderr) -> Option<SocketAddr> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            eprintln!("a2ad: {line}");
            if line.starts_with("ready") {
                let _ = send.send(address_in(&line));
            }
        }
    });
    receive.recv_timeout(PATIENCE).ok().flatten()
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == '/' || c == ',')
        .find_map(|word| word.parse().ok())
}

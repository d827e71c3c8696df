//! PostgreSQL for tests, from the binaries that are installed: on loopback, in a temporary folder, on a free port.
//!
//! [`database`] gives an empty database on a server that all tests of a run share: the first one that needs it
//! starts it, and it stops when none has used it for a while. [`Postgres::start`] gives a server of its own to a test
//! that stops it. A server never outlives its users for long, however they end: see `watch.sh`.

mod programs;

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::programs::{hand_over, run, unprivileged};

/// Seconds without a user before a server stops. Tests follow each other with gaps; a private server's only user
/// does not come back.
const SHARED_IDLE: u32 = 10;
const PRIVATE_IDLE: u32 = 0;

/// The superuser, who needs no password.
const USER: &str = "a2ad";

/// What the server is told. It is killed at times but the power never fails, so nothing has to reach the disk; and
/// whoever wants commits that survive has to ask for them.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 400
shared_buffers = 32MB
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
";

/// Who may connect: the role `locked` with its password, everybody else without one.
const ACCESS: &str = "\
host all locked 127.0.0.1/32 scram-sha-256
host all all    127.0.0.1/32 trust
";

/// A server, and a claim that keeps it running.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    _claim: File,
}

impl Postgres {
    /// A server of the caller's own, running. It is gone soon after this value is.
    pub fn start() -> Self {
        let base = tempfile::Builder::new()
            .prefix("a2ad-postgres-")
            .tempdir()
            .unwrap()
            .keep();
        open_to_all(&base);
        // Nobody else knows of the folder, so nobody else starts anything in it.
        Self::create(&base, &base.join("starting"), PRIVATE_IDLE)
    }

    /// The server that all tests of this checkout share.
    fn shared() -> Self {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
        let name = format!("a2ad-postgres-shared-{:016x}", hasher.finish());
        let base = std::env::temp_dir().join(name);
        let starting = base.with_extension("starting");
        let turn = lockable(&starting);
        turn.lock().unwrap();
        if let Some(server) = Self::running(&base) {
            return server;
        }
        // What lies there was left by a machine that stopped, or by a start that failed.
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir(&base).unwrap();
        open_to_all(&base);
        Self::create(&base, &starting, SHARED_IDLE)
    }

    /// The server in this folder, if one runs there.
    fn running(folder: &Path) -> Option<Self> {
        let port = std::fs::read_to_string(folder.join("port")).ok()?;
        let server = Self {
            folder: folder.to_owned(),
            port: port.parse().ok()?,
            _claim: claim(folder),
        };
        server.is_up().then_some(server)
    }

    fn create(folder: &Path, starting: &Path, idle: u32) -> Self {
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        hand_over(&data);
        let initdb = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"];
        run(unprivileged("initdb")
            .args(initdb)
            .args(["--username", USER, "--pgdata"])
            .arg(&data));
        std::fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        let server = Self {
            folder: folder.to_owned(),
            port: free_port(),
            _claim: claim(folder),
        };
        let port = format!("port = {}\n", server.port);
        std::fs::write(data.join("postgresql.conf"), SETTINGS.to_owned() + &port).unwrap();
        server.watch(starting, idle);
        server.resume();
        std::fs::write(folder.join("port"), server.port.to_string()).unwrap();
        server
    }

    /// The URL of the database `postgres`, for the superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where the server's files lie.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// An empty database.
    pub fn database(&self) -> Database {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        self.sql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Database {
            url: self.url_of(&name),
            server: self.url(),
            name,
        }
    }

    /// Runs a statement as the superuser in the database `postgres`; what it prints.
    pub fn sql(&self, statement: &str) -> String {
        psql(&self.url(), statement)
    }

    /// Stops the server as an operator would, who doesn't wait for clients: they lose their connections.
    pub fn stop(&self) {
        run(self.control("stop").args(["-m", "fast"]));
    }

    /// Stops the server as a crash would.
    pub fn crash(&self) {
        run(self.control("stop").args(["-m", "immediate"]));
    }

    /// Starts the server again where it was, on the same port.
    pub fn resume(&self) {
        let log = self.data().join("server.log");
        run(self.control("start").arg("-l").arg(log));
    }

    /// As [`Postgres::resume`]; false if the server does not start, and why not on the test's output.
    pub fn try_resume(&self) -> bool {
        let log = self.data().join("server.log");
        let status = self
            .control("start")
            .arg("-l")
            .arg(&log)
            .stdout(Stdio::null())
            .status();
        let started = status.is_ok_and(|status| status.success());
        if !started {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let last = text.lines().rev().take(5).collect::<Vec<_>>();
            eprintln!("PostgreSQL does not start: {last:#?}");
        }
        started
    }

    /// Stops and starts.
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    /// Puts a file beside the server's own, for nobody's eyes but the server's.
    pub fn install(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        hand_over(&path);
    }

    /// Adds lines to the server's configuration, and restarts it.
    pub fn configure(&self, settings: &str) {
        let path = self.data().join("postgresql.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before + settings).unwrap();
        self.restart();
    }

    fn is_up(&self) -> bool {
        unprivileged("pg_isready")
            .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    fn control(&self, what: &str) -> Command {
        let mut command = unprivileged("pg_ctl");
        command
            .args([what, "--wait", "--silent", "--pgdata"])
            .arg(self.data());
        command
    }

    fn watch(&self, starting: &Path, idle: u32) {
        let stop = self.control("stop");
        // It forks, so that the watcher belongs to no test.
        let started = Command::new("setsid")
            .args(["--fork", "sh", "-c", include_str!("watch.sh"), "watch.sh"])
            .arg(&self.folder)
            .arg(starting)
            .arg(idle.to_string())
            .arg(stop.get_program())
            .args(stop.get_args())
            .args(["-m", "immediate"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let started = started.expect("setsid and sh are part of every system that PostgreSQL runs on");
        assert!(started.success(), "no watcher for the server");
    }
}

/// An empty database on a server that others use too; it is dropped with this value.
pub struct Database {
    url: String,
    server: String,
    name: String,
}

/// An empty database on the server that all tests share. Cheap: a tenth of a second once the server runs.
pub fn database() -> Database {
    Postgres::shared().database().claimed()
}

impl Database {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement in this database; what it prints, without headings.
    pub fn sql(&self, statement: &str) -> String {
        psql(&self.url, statement)
    }

    /// Keeps the shared server running for as long as this process, which may use more databases.
    fn claimed(self) -> Self {
        static CLAIM: std::sync::OnceLock<Postgres> = std::sync::OnceLock::new();
        CLAIM.get_or_init(Postgres::shared);
        self
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that was stopped takes its databases with it.
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = command(&self.server, &statement).output();
    }
}

fn command(url: &str, statement: &str) -> Command {
    let mut command = unprivileged("psql");
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
    ]);
    command.args(["--dbname", url, "--command", statement]);
    command
}

/// Runs a statement in the database of a URL; what it prints, without headings.
pub fn psql(url: &str, statement: &str) -> String {
    run(&mut command(url, statement)).trim().to_owned()
}

fn claim(folder: &Path) -> File {
    let users = lockable(&folder.join("users"));
    users.lock_shared().unwrap();
    users
}

fn lockable(path: &Path) -> File {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The server runs as another user when the tests run as root, and has to reach its folder.
fn open_to_all(folder: &Path) {
    set_mode(folder, 0o755);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

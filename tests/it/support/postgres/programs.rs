//! Finding PostgreSQL's programs and running them: the server refuses to run as root.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static BIN: LazyLock<PathBuf> = LazyLock::new(|| {
    find().expect(
        "this test needs PostgreSQL's server programs; install them (on Debian: apt-get install postgresql, or let \
         ./test do it), or put the folder with initdb and pg_ctl into PATH",
    )
});

/// The user that servers run as when the tests run as root: `postgres`, or `nobody` where there is none.
static USER: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let id = |flag: &str, user: &str| {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    let ids = |user: &str| Some((id("-u", user)?, id("-g", user)?));
    is_root.then(|| {
        ids("postgres")
            .or_else(|| ids("nobody"))
            .expect("a user that is not root")
    })
});

/// One of PostgreSQL's programs, to be run as a user that is not root.
pub fn unprivileged(program: &str) -> Command {
    let path = BIN.join(program);
    let mut command = match *USER {
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups").arg(path);
            command
        }
        None => Command::new(path),
    };
    command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Gives a file or folder to the user that servers run as.
pub fn hand_over(path: &Path) {
    if let Some((user, group)) = *USER {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// Runs a command that must succeed; its output.
///
/// The output goes through a file: a server that the command leaves running would hold a pipe open.
pub fn run(command: &mut Command) -> String {
    let mut out = tempfile::tempfile().unwrap();
    let status = command
        .stdout(out.try_clone().unwrap())
        .stderr(out.try_clone().unwrap())
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut text = String::new();
    std::io::Seek::rewind(&mut out).unwrap();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert!(status.success(), "{command:?} failed:\n{text}");
    text
}

fn find() -> Option<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").output();
    let asked = asked
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let asked = asked.map(|text| PathBuf::from(text.trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    asked
        .into_iter()
        .chain(debian())
        .chain(std::env::split_paths(&path))
        .find(|folder| {
            ["initdb", "pg_ctl", "postgres", "psql"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
}

/// Debian keeps the programs of every version in a folder of its own; the newest first.
fn debian() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, bin)| bin).collect()
}

//! Runs scripts of peers that print a line for each check, `ok NAME` or `FAIL NAME reason`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::python;

/// A script that hangs in spite of its own limits.
const SCRIPT_TIME_MAX: Duration = Duration::from_secs(300);

/// Runs `tests/peers/NAME` with Python and expects exactly these checks to pass.
pub fn python_passes(name: &str, arguments: &[&str], checks: &[&str]) {
    passes(Command::new(python::interpreter()), name, arguments, checks);
}

/// Runs `tests/peers/NAME` with Node and expects exactly these checks to pass.
pub fn node_passes(name: &str, arguments: &[&str], checks: &[&str]) {
    passes(Command::new(node()), name, arguments, checks);
}

fn passes(mut command: Command, name: &str, arguments: &[&str], checks: &[&str]) {
    command
        .arg(Path::new("tests/peers").join(name))
        .args(arguments)
        .current_dir(root());
    let output = run(command);
    let found = String::from_utf8(output.stdout).expect("scripts print UTF-8");
    let found: Vec<_> = found.lines().collect();
    let expected: Vec<_> = checks.iter().map(|check| format!("ok {check}")).collect();
    // The whole list and not only the absence of FAIL: a check that does not run must not count as one that passes.
    assert_eq!(found, expected, "{name} {arguments:?}");
    assert!(
        output.status.success(),
        "{name} {arguments:?} ended with {}",
        output.status
    );
}

fn run(mut command: Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    let started = Instant::now();
    // What a script prints fits into the pipe: one line a check.
    while child.try_wait().expect("a child can be waited for").is_none() {
        if started.elapsed() > SCRIPT_TIME_MAX {
            let _ = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("the pipe can be read")
}

/// The interpreter, and proof that the packages for it are there.
pub fn node() -> PathBuf {
    let packages = root().join("target/peers/node/node_modules");
    assert!(
        packages.exists(),
        "no packages in {}: run tests/peers/install",
        packages.display()
    );
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("node"))
        .find(|file| file.exists());
    found.expect("node is not on the PATH: run tests/peers/install")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

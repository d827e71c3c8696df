//! Peers written in Python; `tests/peers/install` sets them up.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The interpreter that has the peers' packages.
pub fn interpreter() -> PathBuf {
    let path = match std::env::var_os("A2AD_TEST_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => root().join("target/peers/venv/bin/python"),
    };
    assert!(
        path.exists(),
        "no Python at {}: run tests/peers/install, or set A2AD_TEST_PYTHON",
        path.display()
    );
    path
}

/// Runs Python in the repository's root and returns what it prints.
pub fn run(arguments: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new(interpreter())
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Both pipes have an end: whoever writes all before reading may wait for ever.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "python {arguments:?} failed");
    output.stdout
}

/// Bytes out of a script that prints them in hex.
pub fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim().as_bytes();
    text.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Bytes for a script that reads hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

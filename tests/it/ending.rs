//! The end of the program while agents hold threads.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use a2ad::pb::TaskState;

use crate::binary::Server;
use crate::support::messages::{at_once, get, send, state, task};
use crate::support::wire::{TestClient, Wire};

#[path = "../../src/cli/watchdog.rs"]
mod watchdog;

/// Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// An order to the counter that holds its thread for an hour.
const HOUR: &str = "1:3600000";
/// Says that this process is the one that is to be ended.
const CHILD: &str = "A2AD_TEST_CHILD";

/// A server on this file whose counter holds a thread, or several.
async fn held(dir: &tempfile::TempDir, drain_timeout_ms: u64) -> Server {
    let database = format!("sqlite://{}", dir.path().join("a2ad.db").display());
    let limit = format!("server.drain_timeout_ms={drain_timeout_ms}");
    let server = Server::start_in(dir.path(), &["--database", &database, "--set", &limit]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    for number in 0..3 {
        let order = at_once(send("counter", &format!("m{number}"), HOUR));
        let id = task(client.call(order).await.unwrap()).id;
        let working = async {
            while state(&client.call(get("counter", &id)).await.unwrap()) != TaskState::Working {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, working).await.unwrap();
    }
    server
}

/// A fault once: the process waited for the threads of its agents, without limit, and the lock of the file kept the next
/// one out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_though_agents_hold_threads() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let server = held(&dir, 300).await;
        server.terminate();
        // It gives up by itself when this takes too long.
        let status = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_though_agents_hold_threads() {
    let dir = tempfile::tempdir().unwrap();
    let server = held(&dir, 600_000).await;
    server.terminate();
    let began = Instant::now();
    while TcpStream::connect(server.addr).is_ok() {
        assert!(began.elapsed() < PATIENCE, "the server goes on listening");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    server.terminate();
    let status = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
    let took = began.elapsed();
    assert!(
        status.success() && took < Duration::from_secs(15),
        "{status} after {took:?}"
    );
}

/// Agents that don't say that they block hold every thread that could have noticed a signal.
#[test]
fn two_signals_end_a_process_none_of_whose_threads_is_free() {
    if std::env::var_os(CHILD).is_some() {
        hold_every_thread();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("ending::two_signals_end_a_process_none_of_whose_threads_is_free")
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.by_ref().map_while(Result::ok).any(|line| line == "held"));
    let began = Instant::now();
    let status = loop {
        // Two of them in one moment are one.
        let sent = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        std::thread::sleep(Duration::from_millis(200));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the process does not end");
        }
    };
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(
        log.map_while(Result::ok)
            .any(|line| line.contains("it ends all the same"))
    );
}

/// What the program does, with nothing left that could drain.
fn hold_every_thread() -> ! {
    watchdog::start(Duration::from_secs(600)).unwrap();
    eprintln!("held");
    loop {
        std::thread::park();
    }
}

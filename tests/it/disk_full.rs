//! A disk that is full: writes end with UNAVAILABLE, reads go on, and with space everything is as before.
//!
//! The limit of a process for the size of its files stands in for the end of the disk: it comes in the middle of a write
//! as that does, needs no rights, and can be moved while the process runs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, TaskState};
use a2ad::task::is_settled;

use crate::binary::{PROGRAM, Server};
use crate::support::messages::{at_once, get, message, send_of, state, task};
use crate::support::wire::{TestClient, Wire};

/// Longer than anything should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest that there is: three heartbeats a second.
const LEASE: &str = "execution.lease_ms=1000";

/// The disk stays full for some heartbeats at least.
const FULL: Duration = Duration::from_secs(3);

/// Begins a task that goes on by itself; its id.
async fn begin(client: &TestClient, text: &str) -> String {
    let request = at_once(send_of("bench", message("running", text)));
    let begun = task(client.call(request).await.expect("there is space"));
    assert!(!is_settled(state(&begun)), "{begun:?}");
    begun.id
}

fn limit_files(server: &Server, bytes: &str) {
    let limited = Command::new("prlimit")
        .args([
            "--pid",
            &server.id().to_string(),
            &format!("--fsize={bytes}:unlimited"),
        ])
        .status()
        .expect("prlimit is part of util-linux");
    assert!(limited.success());
}

/// Sends a message that makes a task of some size; its id, if it is acknowledged.
async fn send(client: &TestClient, n: usize) -> Option<String> {
    let text = format!("{n} {}", "x".repeat(20_000));
    match client
        .call(send_of("echo", message(&format!("m{n}"), &text)))
        .await
    {
        Ok(response) => {
            let done = task(response);
            assert_eq!(state(&done), TaskState::Completed);
            Some(done.id)
        }
        Err(error) => {
            error.is(Kind::Unavailable);
            None
        }
    }
}

async fn all_are_there(client: &TestClient, acknowledged: &[String]) {
    for id in acknowledged {
        let read = client.call(get("echo", id)).await;
        let read = read.unwrap_or_else(|error| panic!("acknowledged task {id}: {error:?}"));
        assert_eq!(state(&read), TaskState::Completed);
    }
}

fn verify(database: &Path) {
    let output = Command::new(PROGRAM)
        .args([
            "db",
            "verify",
            "--database",
            &format!("sqlite://{}", database.display()),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_and_nothing_else() {
    const REFUSED: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    let url = format!("sqlite://{}", database.display());
    // Beyond the limit there is a signal, which would end the process; a full disk sends none.
    let server = Server::start_after("trap '' XFSZ", &["--database", &url, "--set", LEASE]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    let mut acknowledged = Vec::new();
    // Its heartbeats meet the full disk, between the writes of others.
    let running = begin(&client, "hold:600").await;
    for n in 0..10 {
        acknowledged.push(send(&client, n).await.expect("there is space"));
    }

    limit_files(&server, "400000");
    let (mut n, mut refused, started) = (10, 0, Instant::now());
    while refused < REFUSED || started.elapsed() < FULL {
        assert!(
            started.elapsed() < PATIENCE,
            "{refused} of {n} sends refused on a full disk"
        );
        match send(&client, n).await {
            Some(id) => acknowledged.push(id),
            None => refused += 1,
        }
        n += 1;
    }
    all_are_there(&client, &acknowledged).await;
    let page = client
        .call(ListTasksRequest {
            tenant: "echo".to_owned(),
            ..ListTasksRequest::default()
        })
        .await
        .unwrap();
    assert!(page.total_size as usize >= acknowledged.len());

    limit_files(&server, "unlimited");
    let started = Instant::now();
    loop {
        n += 1;
        if let Some(id) = send(&client, n).await {
            acknowledged.push(id);
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "no write succeeds though there is space again"
        );
    }
    let back = started.elapsed();
    for more in 0..10 {
        acknowledged.push(send(&client, n + 1 + more).await.expect("there is space again"));
    }
    all_are_there(&client, &acknowledged).await;
    verify(&database);

    assert!(client.call(get("bench", &running)).await.is_ok());
    server.kill();
    let server = Server::start(&["--database", &url, "--set", LEASE]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    all_are_there(&client, &acknowledged).await;
    assert!(client.call(get("bench", &running)).await.is_ok());
    verify(&database);
    eprintln!(
        "{} tasks acknowledged, {refused} sends refused, 0 lost; writes were back {back:?} after the space",
        acknowledged.len()
    );
}

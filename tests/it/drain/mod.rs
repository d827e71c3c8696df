//! The program is told to drain in the middle of its work; nothing that it acknowledged may be lost.
//!
//! The recorder (`load`) and the checkers (`check`, `log`) stand outside the server.

mod check;
mod load;
mod log;

use std::path::Path;
use std::time::Duration;

use a2ad::pb::TaskState;
use tokio::task::JoinSet;

use crate::binary::Server;
use crate::support::random::Random;
use load::{Client, Kind, Ledger, Outcome};

/// Clients that load the server at the same time.
const CLIENTS: u64 = 8;
/// Over it, a drain has not done its work.
const DRAIN_TIMEOUT_MS: u64 = 10_000;

fn start(database: &Path) -> Server {
    let url = format!("sqlite://{}", database.display());
    Server::start(&["--database", &url, "--default-agent", "bench"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_ends_well_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("a2ad.db");
    let ledger = Ledger::default();
    let mut random = Random::from_environment();
    let server = start_draining(&database);
    let watched = Client::connect(&server).await;
    let (mut stream, _) = watched.stream("hold:600").await.expect("a stream begins");
    let load = load_of(&server, &ledger, &mut random);
    ledger.grows_beyond(50).await;
    server.terminate();
    let told = std::time::Instant::now();

    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream of a task that still runs must not end as if it were done"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), tonic::Code::Unavailable, "{end}");
    assert!(end.metadata().contains_key("a2ad-last-generation"), "{end:?}");
    let outcomes = load.join_all().await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::Cut),
        "{outcomes:?}"
    );
    let status = server.ended();
    assert_eq!(status.code(), Some(0));
    let took = told.elapsed();
    assert!(took < Duration::from_millis(DRAIN_TIMEOUT_MS + 5_000), "{took:?}");

    let server = start(&database);
    let client = Client::connect(&server).await;
    check::nothing_is_unfinished(&client).await;
    check::acknowledged(&client, &ledger).await;
    let found = log::check(&database).await;
    assert_eq!(found.problems, Vec::<String>::new());
}

/// The checker's own test: it must notice a task that is gone and one that changed its mind.
#[tokio::test]
async fn a_lost_task_is_noticed() {
    let server = Server::start(&["--database", "memory", "--default-agent", "bench"]);
    let client = Client::connect(&server).await;
    let ledger = Ledger::default();
    let id = client
        .acknowledged(Kind::Blocking, "hello", false, &ledger)
        .await
        .unwrap();
    assert_eq!(check::lost(&client, &ledger).await, Vec::<String>::new());
    ledger.note(&id, Kind::Blocking, TaskState::Canceled);
    ledger.note("no-such-task", Kind::Blocking, TaskState::Completed);
    assert_eq!(check::lost(&client, &ledger).await.len(), 2);
}

/// The held task never ends by itself, so that this timeout is what ends the drain.
fn start_draining(database: &Path) -> Server {
    let dir = database.parent().expect("a file has a directory");
    let config = format!("[server]\ndrain_timeout_ms = {}\n", DRAIN_TIMEOUT_MS / 5);
    std::fs::write(dir.join("a2ad.toml"), config).expect("the directory is ours");
    let url = format!("sqlite://{}", database.display());
    let arguments = [
        "--database",
        &url,
        "--default-agent",
        "bench",
        "--config",
        "a2ad.toml",
    ];
    Server::start_in(dir, &arguments)
}

/// Clients that send one thing after the other until their connection breaks.
fn load_of(server: &Server, ledger: &Ledger, random: &mut Random) -> JoinSet<Outcome> {
    let mut load = JoinSet::new();
    let addr = server.addr;
    for _ in 0..CLIENTS {
        load.spawn(load::until_cut(addr, ledger.clone(), random.fork()));
    }
    load
}

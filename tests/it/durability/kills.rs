//! Kills in the ordinary run; the example `durability` does any number of them.

use std::path::Path;

use crate::harness::kills::{self, Outcome, Sizes};
use crate::harness::outage;
use crate::harness::process::Program;
use crate::harness::random::Random;
use crate::support::postgres::{self, Postgres};

const SQLITE: Sizes = Sizes {
    cycles: 25,
    clients: 9,
};

const POSTGRES: Sizes = Sizes {
    // Each of the points once.
    cycles: 16,
    clients: 9,
};
const OUTAGES: Sizes = Sizes {
    cycles: 4,
    clients: 9,
};

fn program(dir: &Path) -> Program {
    let database = dir.join("a2ad.db");
    Program {
        binary: env!("CARGO_BIN_EXE_a2ad").into(),
        dir: dir.to_owned(),
        database_url: format!("sqlite://{}", database.display()),
    }
}

/// Nothing is broken, and enough was tried to say so.
fn assert_sound(outcome: &Outcome, acknowledged_min: usize) {
    eprintln!("{outcome}");
    let report = &outcome.report;
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(report.acknowledged_messages >= acknowledged_min, "{report}");
    assert!(report.unknown_calls > 0 && report.ended > 0, "{report}");
}

/// A server that dies takes its streams along, leaves its tasks to the next one, and ends at every point that clients come by.
fn assert_killed_everywhere(outcome: &Outcome) {
    let report = &outcome.report;
    assert!(report.resumed > 0, "{outcome}");
    assert!(
        report.taken_over > report.restarts && report.restarts > 0,
        "{outcome}"
    );
    assert!(report.pruned > 0, "{outcome}");
    for point in kills::points() {
        assert!(
            outcome.kills.contains_key(point),
            "nothing ended at {point}: {outcome}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_kill_9_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::from_environment();
    let outcome = kills::run(&program(dir.path()), dir.path(), SQLITE, &mut random).await;
    assert_sound(&outcome, 100);
    assert_killed_everywhere(&outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_kill_9_on_postgres() {
    let dir = tempfile::tempdir().unwrap();
    let database = postgres::database();
    let program = Program {
        database_url: database.url().to_owned(),
        ..program(dir.path())
    };
    let mut random = Random::from_environment();
    let outcome = kills::run(&program, dir.path(), POSTGRES, &mut random).await;
    assert_sound(&outcome, 100);
    assert_killed_everywhere(&outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_postgres_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Postgres::start();
    let program = Program {
        database_url: server.url(),
        ..program(dir.path())
    };
    let mut random = Random::from_environment();
    let (data, resume) = (server.data(), || server.try_resume());
    let outcome = outage::run(&program, dir.path(), OUTAGES, (&data, resume), &mut random).await;
    assert_sound(&outcome, 20);
}

/// A fault once: the server said `ready` before it listened for signals, and one that came at once killed it.
#[tokio::test]
async fn a_signal_right_behind_ready_is_heeded() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let mut server = program(dir.path()).start();
        server.ready().await.expect("the server starts");
        assert!(server.drained().await.success());
    }
}

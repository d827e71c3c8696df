//! Kills in the ordinary run; the example `durability` does any number of them.

use std::path::Path;

use a2ad::fault;

use crate::harness::check::Rule;
use crate::harness::kills::{self, Outcome, Sizes};
use crate::harness::process::Program;
use crate::harness::random::Random;

const SQLITE: Sizes = Sizes {
    cycles: 25,
    clients: 9,
};

pub(super) fn program(dir: &Path) -> Program {
    let database = dir.join("a2ad.db");
    Program {
        binary: env!("CARGO_BIN_EXE_a2ad").into(),
        dir: dir.to_owned(),
        database_url: format!("sqlite://{}", database.display()),
    }
}

/// Nothing is broken, and enough was tried to say so.
fn assert_sound(outcome: &Outcome) {
    eprintln!("{outcome}");
    let report = &outcome.report;
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(report.acknowledged_messages > 100, "{report}");
    assert!(report.unknown_calls > 0, "{report}");
    assert!(report.resumed > 0 && report.ended > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_kill_9_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::from_environment();
    let outcome = kills::run(&program(dir.path()), dir.path(), SQLITE, &mut random).await;
    assert_sound(&outcome);
    for point in fault::POINTS {
        assert!(outcome.kills.contains_key(point), "nothing ended at {point}: {outcome}");
    }
    // The same history against a database that has forgotten something: the checker must see it.
    let mut dump = outcome.dump;
    let gone = dump.log.pop().unwrap();
    let report = crate::harness::check::check(&outcome.history, &dump, crate::harness::check::End::Quiet);
    assert!(report.broken(Rule::LogIsDense) > 0, "{gone:?} is not missed");
}

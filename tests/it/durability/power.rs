//! Power cuts in the ordinary run, and the control: a database that does not sync is caught losing work.

use std::path::Path;

use crate::harness::power::{self, Outcome, Sizes};
use crate::harness::random::Random;

const SIZES: Sizes = Sizes {
    answers: 400,
    clients: 9,
    cuts: 200,
    program_every: 50,
};

async fn cut(sizes: Sizes, synchronous: Option<&str>) -> Outcome {
    let binary = Path::new(env!("CARGO_BIN_EXE_a2ad"));
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::from_environment();
    let run = power::record(binary, dir.path(), sizes, synchronous, &mut random).await;
    let outcome = power::cut(&run, binary, dir.path(), sizes, &mut random).await;
    eprintln!("synchronous {}: {outcome}", synchronous.unwrap_or("FULL"));
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let outcome = cut(SIZES, None).await;
    assert!(outcome.problems.is_empty(), "{:#?}", outcome.problems);
    assert_eq!((outcome.cuts, outcome.programs), (200, 4), "{outcome}");
    // Enough was at stake to say so.
    assert!(outcome.risky > 50 && outcome.early > 10, "{outcome}");
    assert!(
        outcome.in_checkpoint > 10 && outcome.acknowledged > 1_000,
        "{outcome}"
    );
}

/// With synchronous NORMAL a commit is not synced; the harness has to catch that, or it proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_sync_is_caught() {
    let sizes = Sizes {
        cuts: 40,
        program_every: usize::MAX,
        ..SIZES
    };
    let outcome = cut(sizes, Some("NORMAL")).await;
    assert!(outcome.lost > 100, "{outcome}");
}

//! The whole engine in one thread, with its clock, its randomness and its database in the hand of a seed: callers,
//! agents, faults and crashes, and every promise looked at on the way.
//!
//! `A2AD_SIM_SEED=n` replays one seed and prints its trace; `A2AD_SIM_SEEDS=n` runs that many. Of one seed there is one
//! trace.

pub mod agent;
pub mod book;
mod change;
mod client;
mod read;
mod run;
mod scheduler;
mod send;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::{TaskRepository as _, TaskWrite};
use a2ad::task::TaskEvent;
use futures_util::FutureExt as _;

use self::run::{Outcome, simulate};
use crate::support::faulty::{Alter, Taken};

/// The owners of tasks; callers share them.
const PRINCIPALS: [&str; 2] = ["ada", "bob"];

/// Seeds of the ordinary run.
const SEEDS: u64 = 500;
/// Seeds that a mutant may survive.
const MUTANT_SEEDS: u64 = 100;

/// A system that breaks one promise, which must be noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mutant {
    None,
    /// Acknowledges before it commits.
    Eager,
    /// Acknowledges, and loses every ninth write.
    Forgetful,
    /// Takes writes of any epoch and generation: behind the last event, whoever sends them.
    Unconditional,
    /// Binds no idempotency keys.
    Keyless,
    /// Readers go on one event too late.
    CursorSkips,
    /// Readers go on one event too early.
    CursorRepeats,
}

impl Mutant {
    fn alter(self, memory: Arc<MemoryRepository>) -> Alter {
        match self {
            Self::None | Self::CursorSkips | Self::CursorRepeats => Box::new(Taken::Honestly),
            Self::Eager => Box::new(Taken::Afterwards),
            Self::Forgetful => Box::new(|write| match write.generation() % 9 {
                5 => Taken::Never,
                _ => Taken::Honestly(write),
            }),
            Self::Unconditional => Box::new(move |write| Taken::Honestly(behind_the_end(&memory, write))),
            Self::Keyless => Box::new(|write| {
                Taken::Honestly(TaskWrite {
                    keys: Vec::new(),
                    ..write
                })
            }),
        }
    }

    fn skew(self) -> i64 {
        match self {
            Self::CursorSkips => 1,
            Self::CursorRepeats => -1,
            _ => 0,
        }
    }
}

/// The write as it would be if its writer knew the task as it stands.
fn behind_the_end(memory: &MemoryRepository, write: TaskWrite) -> TaskWrite {
    let stored = memory.get(&write.scope, &write.task_id).now_or_never();
    let Some(stored) = stored.and_then(Result::ok).flatten() else {
        return write;
    };
    let renumbered = (stored.generation + 1..)
        .zip(&write.events)
        .map(|(generation, event)| {
            let mut event = TaskEvent::clone(event);
            event.generation = generation;
            Arc::new(event)
        });
    TaskWrite {
        expected_generation: stored.generation,
        expected_epoch: stored.epoch,
        events: renumbered.collect(),
        snapshot: None,
        snapshot_generation: stored.snapshot_generation,
        ..write
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

#[track_caller]
fn assert_sound(seed: u64, outcome: &Outcome) {
    assert!(
        outcome.violations.is_empty(),
        "{}\nseed {seed} (A2AD_SIM_SEED={seed} replays it): {:#?}",
        outcome.trace,
        outcome.violations,
    );
}

#[test]
fn every_promise_is_kept_on_every_seed() {
    if let Some(seed) = from_environment("A2AD_SIM_SEED") {
        let outcome = simulate(seed, Mutant::None);
        println!("{}\n{:#?}", outcome.trace, outcome.counts);
        return assert_sound(seed, &outcome);
    }
    let seeds = from_environment("A2AD_SIM_SEEDS").unwrap_or(SEEDS);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..seeds {
        let outcome = simulate(seed, Mutant::None);
        assert_sound(seed, &outcome);
        if seed % 1_000 == 999 {
            println!("{} seeds are sound", seed + 1);
        }
        for (what, count) in outcome.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{seeds} seeds: {counts:#?}");
    for what in EVERYTHING {
        assert!(
            counts.get(what).is_some_and(|count| *count > 0),
            "never happened: {what}"
        );
    }
}

/// What must have happened in some of the seeds, or the simulation looks at nothing.
const EVERYTHING: [&str; 18] = [
    "acknowledged",
    "answered when repeated",
    "broken agents",
    "canceled",
    "cut off",
    "direct answers",
    "drained",
    "events",
    "killed",
    "listings",
    "refused at a limit",
    "resumed streams",
    "streams",
    "streams read to their end",
    "too late to cancel",
    "unavailable",
    "unknown",
    "webhooks changed",
];

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut digests = Vec::new();
    for seed in 0..40 {
        let (one, two) = (simulate(seed, Mutant::None), simulate(seed, Mutant::None));
        if one.digest != two.digest {
            let differs = one.trace.lines().zip(two.trace.lines()).position(|(a, b)| a != b);
            panic!(
                "seed {seed}: line {differs:?} differs\n{}\n---\n{}",
                one.trace, two.trace
            );
        }
        digests.push(one.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 40, "different seeds give different traces");
}

#[track_caller]
fn assert_caught(mutant: Mutant, sign: &str) {
    let mut outcomes = (0..MUTANT_SEEDS).map(|seed| (seed, simulate(seed, mutant).violations));
    let told = |violations: &[String]| violations.iter().any(|told| told.contains(sign));
    let caught = outcomes.find(|(_, violations)| told(violations));
    let (seed, violations) = caught.unwrap_or_else(|| panic!("{mutant:?} survived {MUTANT_SEEDS} seeds"));
    println!("{mutant:?} is caught by seed {seed}: {violations:#?}");
}

#[test]
fn a_database_that_acknowledges_too_early_is_caught() {
    assert_caught(Mutant::Eager, "not committed");
}

#[test]
fn a_database_that_loses_writes_is_caught() {
    assert_caught(Mutant::Forgetful, "not committed");
}

#[test]
fn a_database_that_takes_stale_writers_is_caught() {
    assert_caught(Mutant::Unconditional, "damaged");
}

#[test]
fn a_database_that_binds_no_keys_is_caught() {
    assert_caught(Mutant::Keyless, "times");
}

#[test]
fn cursors_that_are_off_by_one_are_caught() {
    assert_caught(Mutant::CursorSkips, "for Some");
    assert_caught(Mutant::CursorRepeats, "for Some");
}

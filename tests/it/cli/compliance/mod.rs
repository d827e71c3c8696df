//! The a2a-cli specification 0.2, requirement by requirement: a check of each through the program itself, and the reports
//! that come of it.
//!
//! `registry` lists the requirements with their checks, `checks` has them, `report` writes what is published. The reports in
//! `deploy` must be what the checks say now: `A2AD_BLESS=1` writes them anew. `controls` shows that checks can fail,
//! and `beyond` checks what the specification leaves open.

mod beyond;
mod checks;
mod controls;
mod registry;
mod report;
pub mod site;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use self::registry::{REQUIREMENTS, Requirement};
use self::report::Results;
use self::world::{Checked, World};

/// Checks that run at once.
const WORKERS: usize = 2;

#[test]
fn the_program_meets_every_requirement_and_the_reports_say_so() {
    let world = World::new();
    let results = Results {
        requirements: all(REQUIREMENTS.len(), |number| judged(&REQUIREMENTS[number], &world)),
        defaults: all(registry::DEFAULTS.len(), |number| {
            let (_, _, check) = registry::DEFAULTS[number];
            caught(|| check(&world))
        }),
        codes: all(registry::CODES.len(), |number| {
            let (_, check) = registry::CODES[number];
            caught(|| check(&world))
        }),
    };
    let failed = results.failures();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    report::compare("deploy/a2a-cli-compliance.yaml", &report::yaml(&results));
    report::compare("deploy/a2a-cli-compliance.md", &report::markdown(&results));
}

fn judged(requirement: &Requirement, world: &World) -> Checked {
    caught(|| (requirement.check)(world))
}

/// What a check says, or what it stumbled over.
fn caught(check: impl FnOnce() -> Checked) -> Checked {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|why| {
        let text = why.downcast_ref::<String>().cloned();
        let text = text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "it panicked".to_owned()))
    })
}

/// The results of so many checks, in their order.
fn all(count: usize, check: impl Fn(usize) -> Checked + Sync) -> Vec<Checked> {
    let next = Mutex::new(0..count);
    let results: Vec<Mutex<Checked>> = (0..count).map(|_| Mutex::new(Err("not run".into()))).collect();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.lock().unwrap().next();
                    let Some(number) = number else { break };
                    *results[number].lock().unwrap() = check(number);
                }
            });
        }
    });
    results.into_iter().map(|one| one.into_inner().unwrap()).collect()
}

//! The protocol's scenarios on a database that fails at every place where it can fail, one fault at a time and many.
//!
//! Whatever happens, every answer is right or UNAVAILABLE, nothing acknowledged is lost, a repeated send finds its task,
//! and no task runs on for ever once the faults have ended.

mod caller;
mod scenarios;

use std::sync::Arc;
use std::time::Duration;

use a2ad::clock::Clock;
use a2ad::repository::TaskRepository;
use a2ad::repository::conformance::NOW_MS;
use a2ad::repository::memory::MemoryRepository;

use self::caller::Caller;
use self::scenarios::SCENARIOS;
use crate::support::faulty::{Fault, FaultyRepository, Method, Plan, once, seeded};
use crate::support::insistent::Insistent;
use crate::support::random::Random;

const FAULTS: [Fault; 5] = [
    Fault::Before,
    Fault::After,
    // Behind the engine's look for it, which comes after 50 ms.
    Fault::Late(Duration::from_millis(55)),
    Fault::Delay(Duration::from_millis(200)),
    Fault::Hang,
];

/// When hanging calls go on.
const HEALED: Duration = Duration::from_secs(2);

/// Runs one scenario with these faults; how often each method was called.
fn play(name: &str, plan: Plan) -> [usize; Method::ALL.len()] {
    let (_, scenario) = SCENARIOS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a scenario");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let memory = Arc::new(MemoryRepository::with_clock(Clock::of_timers(NOW_MS)));
        let repository = FaultyRepository::new(memory.clone(), plan);
        let mut caller = Caller::new(memory, repository.clone());
        let heal = async {
            tokio::time::sleep(HEALED).await;
            repository.heal();
        };
        let story = async {
            scenario(&mut caller).await;
            caller.check().await;
        };
        let both = futures_util::future::join(story, heal);
        tokio::time::timeout(Duration::from_secs(600), both)
            .await
            .unwrap_or_else(|_| panic!("{name} is stuck"));
        Method::ALL.map(|method| repository.calls(method))
    })
}

/// Every call of every method meets every fault once.
#[test]
fn every_single_fault_is_survived() {
    let (mut runs, mut met) = (0, [0; Method::ALL.len()]);
    for (name, _) in SCENARIOS {
        for method in Method::ALL {
            for fault in FAULTS {
                for at in 0.. {
                    println!("{name}: call {at} of {method:?} meets {fault:?}");
                    runs += 1;
                    if play(name, once(method, at, fault))[method as usize] <= at {
                        break;
                    }
                    met[method as usize] += 1;
                }
            }
        }
    }
    println!("{runs} runs; faults met by method: {met:?}");
    // Health checks and retention come from outside, and no scenario has one; nor has one a damaged task, or a quota of
    // open tasks.
    let outside = [
        Method::OpenTasks,
        Method::Agents,
        Method::Prune,
        Method::Compact,
        Method::Check,
        Method::Release,
    ];
    for method in Method::ALL.into_iter().filter(|method| !outside.contains(method)) {
        assert!(met[method as usize] >= FAULTS.len(), "{method:?} met no fault");
    }
}

#[test]
fn many_faults_are_survived() {
    for (name, _) in SCENARIOS {
        for seed in 0..40 {
            println!("{name}: seed {seed}");
            let latency = Duration::from_millis(seed % 3 * 15);
            play(name, seeded(Random::new(seed), 10 + seed, latency));
        }
    }
}

/// The suite of all repositories, on one that fails, under a caller that insists.
#[test]
fn repositories_keep_their_promises_to_callers_that_insist() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    for seed in 0..4 {
        runtime.block_on(a2ad::repository::conformance::run(async || {
            let plan = seeded(Random::new(seed), 20, Duration::from_millis(2));
            let repository = FaultyRepository::new(Arc::new(MemoryRepository::new()), plan);
            let healed = repository.clone();
            a2ad::shutdown::Shutdown::new().spawn_unstoppable("healing", async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                healed.heal();
            });
            Arc::new(Insistent::new(repository)) as Arc<dyn TaskRepository>
        }));
    }
}

mod slow {
    use super::*;

    a2ad::repository_conformance!(async || {
        let slow = seeded(Random::new(1), 0, Duration::from_millis(3));
        FaultyRepository::new(Arc::new(MemoryRepository::new()), slow) as Arc<dyn TaskRepository>
    });
}

//! Which interleavings are run: every one up to a number of deviations, and random ones beyond.
//!
//! Left alone, a thread runs until it waits or ends, and then the first one that can. Wherever another one runs instead
//! is a deviation. Most faults between threads need few of them, and up to a bound all schedules can be run one by one
//! (delay-bounded scheduling, Emmi, Qadeer and Rakamarić 2011).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Depth first through all schedules with at most so many deviations.
struct Bounded {
    deviations_max: usize,
    /// The choices that led to the newest step, and those that are left at each.
    levels: Vec<Level>,
    step: usize,
    deviations: usize,
    begun: bool,
}

struct Level {
    /// Who is run in this schedule.
    chosen: TaskId,
    /// Who is yet to be run here.
    left: Vec<TaskId>,
}

impl Bounded {
    fn new(deviations_max: usize) -> Self {
        Self {
            deviations_max,
            levels: Vec::new(),
            step: 0,
            deviations: 0,
            begun: false,
        }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.begun {
            assert_eq!(
                self.step,
                self.levels.len(),
                "the same choices lead to the same end"
            );
            while self.levels.last().is_some_and(|level| level.left.is_empty()) {
                self.levels.pop();
            }
            let deepest = self.levels.last_mut()?;
            deepest.chosen = deepest.left.remove(0);
        }
        (self.begun, self.step, self.deviations) = (true, 0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
        let mut runnable: Vec<TaskId> = runnable.iter().map(|task| task.id()).collect();
        let goes_on = runnable.iter().position(|task| !yields && Some(*task) == current);
        let usual = runnable.remove(goes_on.unwrap_or(0));
        if self.step == self.levels.len() {
            let is_bound = self.deviations == self.deviations_max;
            self.levels.push(Level {
                chosen: usual,
                left: if is_bound { Vec::new() } else { runnable },
            });
        }
        let chosen = self.levels[self.step].chosen;
        self.step += 1;
        self.deviations += usize::from(chosen != usual);
        Some(chosen)
    }

    fn next_u64(&mut self) -> u64 {
        panic!("nothing here is drawn by lot")
    }
}

fn config() -> Config {
    let mut config = Config::new();
    // Futures that were not optimized are large.
    config.stack_size = 1 << 19;
    // Whoever asks again and again for ever is noticed like whoever sleeps for ever.
    config.max_steps = MaxSteps::FailAfter(20_000);
    config.failure_persistence = FailurePersistence::Print;
    config
}

/// Runs `scene` in every interleaving with at most so many deviations; how many there are.
pub(super) fn every(deviations_max: usize, scene: impl Fn() + Send + Sync + 'static) -> usize {
    Runner::new(Bounded::new(deviations_max), config()).run(scene)
}

/// Runs `scene` in so many interleavings, each step of which is drawn by lot.
pub(super) fn random(count: usize, scene: impl Fn() + Send + Sync + 'static) -> usize {
    Runner::new(RandomScheduler::new_from_seed(3, count), config()).run(scene)
}

/// The control: runs a `scene` that has a mistake in it, until that is noticed; in which interleaving, and as what.
pub(super) fn noticed(deviations_max: usize, scene: impl Fn() + Send + Sync + 'static) -> (usize, String) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let mut config = config();
    config.failure_persistence = FailurePersistence::None;
    let runner = Runner::new(Bounded::new(deviations_max), config);
    let run = catch_unwind(AssertUnwindSafe(|| {
        runner.run(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            scene();
        })
    }));
    let count = count.load(Ordering::Relaxed);
    let Err(panic) = run else {
        panic!("{count} interleavings, and the mistake was not noticed")
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    (count, text.unwrap_or_default())
}

/// What two threads of two steps each can do: six orders, of which the usual one needs no deviation.
#[test]
fn the_bound_counts_deviations_and_nothing_is_left_out() {
    let orders = |deviations_max| {
        let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let all = seen.clone();
        every(deviations_max, move || {
            let order = Arc::new(std::sync::Mutex::new(String::new()));
            let threads = ['a', 'b'].map(|name| {
                let order = order.clone();
                shuttle::thread::spawn(move || {
                    for _ in 0..2 {
                        super::sync::step();
                        order.lock().unwrap().push(name);
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            all.lock().unwrap().insert(order.lock().unwrap().clone());
        });
        seen.lock().unwrap().len()
    };
    assert_eq!([0, 1, 2, 3].map(orders), [1, 3, 5, 6]);
}

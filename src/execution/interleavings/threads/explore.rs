//! Which interleavings are run: every one up to a number of preemptions, and random ones beyond.
//!
//! Most faults between threads need few preemptions. Up to a bound, all schedules are run one by one: at each step the
//! running thread goes on or, while preemptions are left, any other one does; where it waits or ends, every other one
//! may follow for free.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, Runner};

/// Depth first through all schedules with at most so many preemptions.
struct Bounded {
    preemptions_max: usize,
    /// The choices that led to the newest step, and those that are left at each.
    levels: Vec<Level>,
    step: usize,
    preemptions: usize,
    begun: bool,
}

struct Level {
    /// Who is run in this schedule.
    chosen: TaskId,
    /// Who is yet to be run here.
    left: Vec<TaskId>,
}

impl Bounded {
    fn new(preemptions_max: usize) -> Self {
        Self {
            preemptions_max,
            levels: Vec::new(),
            step: 0,
            preemptions: 0,
            begun: false,
        }
    }

    fn open(&self, runnable: &[TaskId], goes_on: Option<TaskId>) -> Level {
        let others = runnable.iter().copied().filter(|task| Some(*task) != goes_on);
        let mut left: Vec<TaskId> = match goes_on {
            Some(_) if self.preemptions >= self.preemptions_max => Vec::new(),
            _ => others.collect(),
        };
        let chosen = goes_on.unwrap_or_else(|| left.remove(0));
        Level { chosen, left }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.begun {
            while self.levels.last().is_some_and(|level| level.left.is_empty()) {
                self.levels.pop();
            }
            let deepest = self.levels.last_mut()?;
            deepest.chosen = deepest.left.remove(0);
        }
        (self.begun, self.step, self.preemptions) = (true, 0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
        let runnable: Vec<TaskId> = runnable.iter().map(|task| task.id()).collect();
        let goes_on = current.filter(|task| !yields && runnable.contains(task));
        if self.step == self.levels.len() {
            let level = self.open(&runnable, goes_on);
            self.levels.push(level);
        }
        let chosen = self.levels[self.step].chosen;
        assert!(
            runnable.contains(&chosen),
            "the same steps lead to the same place"
        );
        self.step += 1;
        self.preemptions += usize::from(goes_on.is_some_and(|task| task != chosen));
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
    config.failure_persistence = FailurePersistence::Print;
    config
}

/// Runs `scene` in every interleaving with at most so many preemptions; how many there are.
pub(super) fn every(preemptions_max: usize, scene: impl Fn() + Send + Sync + 'static) -> usize {
    Runner::new(Bounded::new(preemptions_max), config()).run(scene)
}

/// Runs `scene` in so many interleavings, each step of which is drawn by lot.
pub(super) fn random(count: usize, scene: impl Fn() + Send + Sync + 'static) -> usize {
    Runner::new(RandomScheduler::new_from_seed(3, count), config()).run(scene)
}

/// The control: runs a `scene` that has a mistake in it, until that is noticed; in which interleaving, and as what.
pub(super) fn noticed(preemptions_max: usize, scene: impl Fn() + Send + Sync + 'static) -> (usize, String) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let mut config = config();
    config.failure_persistence = FailurePersistence::None;
    let runner = Runner::new(Bounded::new(preemptions_max), config);
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

/// What two threads of two steps each can do: six orders, of which two need no preemption.
#[test]
fn the_bound_counts_preemptions_and_nothing_is_left_out() {
    let orders = |preemptions_max| {
        let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let all = seen.clone();
        every(preemptions_max, move || {
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
    assert_eq!([0, 1, 2, 3].map(orders), [2, 4, 6, 6]);
}

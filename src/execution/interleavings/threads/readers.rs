//! The ring and its readers: threads that append to a task, and threads that subscribe to it meanwhile.
//!
//! Each reader has to get every event behind the task that it began with, once and in order, up to the end. One that
//! sleeps for ever is a deadlock, which shuttle notices.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread;
use tokio_stream::StreamExt as _;

use super::super::{Act, now, stored};
use super::ExecutionSettings;
use super::explore::{every, noticed, random};
use super::live::{Hub, Tail};
use super::subscription::{EventStream, Subscription};
use super::sync::step;
use crate::bus::{Doorbell, Listener as _};
use crate::context::Scope;
use crate::pb::TaskState;
use crate::repository::conformance::{Sketch, scope};
use crate::repository::memory::MemoryRepository;
use crate::repository::{StoredTask, TaskRepository as _, TaskWrite};
use crate::shutdown::Shutdown;

/// As a writer does it.
const IN_ORDER: [Act; 3] = [Act::Commit, Act::Keep, Act::Wake];

/// What happens to the task of a scene.
#[derive(Clone)]
struct Story {
    create: TaskWrite,
    writes: Vec<TaskWrite>,
    end: u64,
}

impl Story {
    /// Two chunks, and the end.
    fn new() -> Self {
        let mut sketch = Sketch::new(&scope("ada"), "t");
        let create = sketch.create();
        let writes = vec![sketch.chunks(&["x", "y"]), sketch.go(TaskState::Completed)];
        Self {
            create,
            writes,
            end: sketch.generation,
        }
    }

    fn begin(&self, ring_events_max: usize) -> Arc<World> {
        let settings = ExecutionSettings {
            ring_events_max,
            ..ExecutionSettings::default()
        };
        let repository = Arc::new(MemoryRepository::new());
        assert_eq!(now(repository.commit(self.create.clone())), Ok(()));
        Arc::new(World {
            hub: Hub::new(&settings),
            repository,
            scope: self.create.scope.clone(),
            task_id: self.create.task_id.clone(),
            end: self.end,
        })
    }
}

/// One task in one process, and its log.
struct World {
    hub: Arc<Hub>,
    repository: Arc<MemoryRepository>,
    scope: Scope,
    task_id: Arc<str>,
    end: u64,
}

impl World {
    /// Writes as one actor of this process does, which holds the live side for as long as it is there.
    fn append(&self, writes: &[TaskWrite], acts: [Act; 3]) {
        let live = self.hub.live(&self.task_id);
        for write in writes {
            for act in acts {
                match act {
                    Act::Commit => self.commit(write),
                    Act::Keep => live.keep(&write.events),
                    Act::Wake => self.ring(write),
                }
            }
        }
    }

    /// Writes as another process does: all that comes here is a doorbell.
    fn append_elsewhere(&self, write: &TaskWrite) {
        self.commit(write);
        self.ring(write);
    }

    fn commit(&self, write: &TaskWrite) {
        step();
        assert_eq!(now(self.repository.commit(write.clone())), Ok(()));
    }

    fn ring(&self, write: &TaskWrite) {
        self.hub.hear(&Doorbell {
            task_id: self.task_id.clone(),
            generation: write.generation(),
        });
    }

    fn register(&self) -> Subscription {
        Subscription::register(
            self.hub.live(&self.task_id),
            self.repository.clone(),
            Shutdown::new(),
            self.scope.clone(),
            self.task_id.clone(),
            false,
        )
    }

    fn look(&self) -> StoredTask {
        step();
        stored(&self.repository, &self.scope)
    }

    /// Registers, then looks, as `Executions::subscribe` does.
    fn join(&self) -> (Subscription, StoredTask) {
        let subscription = self.register();
        let stored = self.look();
        subscription.wake(stored.generation);
        (subscription, stored)
    }

    /// Reads from the task as it is to its end.
    fn follow(&self) {
        let (subscription, stored) = self.join();
        self.read_on(subscription, stored);
    }

    fn read_on(&self, subscription: Subscription, stored: StoredTask) {
        let first = stored.generation;
        let stream = subscription.begin_with(first, stored.task);
        let read = read(stream, usize::MAX);
        assert_eq!(read, (first..=self.end).collect::<Vec<_>>());
    }

    /// Reads two events, leaves, and comes back with its cursor.
    fn leave_and_come_back(&self) {
        let (subscription, stored) = self.join();
        let first = stored.generation;
        let mut numbers = read(subscription.begin_with(first, stored.task), 2);
        let cursor = numbers.last().copied().unwrap_or_default();
        if cursor < self.end {
            let (subscription, _) = self.join();
            numbers.extend(read(subscription.behind(cursor).go_on(), usize::MAX));
        }
        assert_eq!(numbers, (first..=self.end).collect::<Vec<_>>());
    }
}

/// The generations of so many events, or of all up to the end.
fn read(stream: EventStream, count: usize) -> Vec<u64> {
    let numbers = stream
        .take(count)
        .map(|event| event.map(|event| event.generation));
    let numbers = block_on(numbers.collect::<Result<Vec<_>, _>>());
    numbers.expect("the stream has no errors")
}

type Play = fn(&World, &Story);

/// A scene in which each play has a thread of its own; behind it nobody is live any more.
fn scene(ring_events_max: usize, plays: &'static [Play]) -> impl Fn() + Send + Sync + 'static {
    let story = Story::new();
    move || {
        let world = story.begin(ring_events_max);
        let threads: Vec<_> = plays
            .iter()
            .map(|play| {
                let (world, story) = (world.clone(), story.clone());
                thread::spawn(move || play(&world, &story))
            })
            .collect();
        for thread in threads {
            thread.join().expect("the play is over");
        }
        assert_eq!(world.hub.len(), 0, "who has left is forgotten");
    }
}

const APPEND: Play = |world, story| world.append(&story.writes, IN_ORDER);
const FOLLOW: Play = |world, _| world.follow();
const COME_BACK: Play = |world, _| world.leave_and_come_back();

/// One actor after the other writes, so that the live side may go and be made anew between them.
const APPEND_IN_TURNS: Play = |world, story| {
    for write in &story.writes {
        world.append(std::slice::from_ref(write), IN_ORDER);
    }
};

/// This process writes first, another one the end.
const HAND_OVER: Play = |world, story| {
    world.append(&story.writes[..1], IN_ORDER);
    world.append_elsewhere(&story.writes[1]);
};

#[test]
fn a_reader_gets_every_event_whenever_it_comes() {
    let mut count = 0;
    for ring_events_max in [1, 2, 256] {
        count += every(3, scene(ring_events_max, &[APPEND, FOLLOW]));
    }
    println!("{count} interleavings of one who appends and one who reads");
}

#[test]
fn two_readers_get_every_event() {
    let plays: &[Play] = &[APPEND, FOLLOW, FOLLOW];
    let (all, drawn) = (every(2, scene(2, plays)), random(3_000, scene(2, plays)));
    println!("{all} interleavings of one who appends and two who read, and {drawn} at random");
}

#[test]
fn a_live_side_that_goes_and_is_made_anew_loses_nobody() {
    let plays: &[Play] = &[APPEND_IN_TURNS, COME_BACK];
    let (all, drawn) = (every(3, scene(256, plays)), random(3_000, scene(256, plays)));
    println!("{all} interleavings of writers in turns and a reader that comes back, and {drawn} at random");
}

#[test]
fn a_doorbell_from_elsewhere_sends_readers_to_the_log() {
    let plays: &[Play] = &[HAND_OVER, FOLLOW];
    let (all, drawn) = (every(3, scene(256, plays)), random(3_000, scene(256, plays)));
    println!("{all} interleavings of a task that is handed over and a reader, and {drawn} at random");
}

/// Waking before keeping is no mistake as long as the log has the events: readers look there then.
#[test]
fn readers_that_are_woken_before_the_ring_has_it_find_it_in_the_log() {
    const EARLY: Play = |world, story| world.append(&story.writes, [Act::Commit, Act::Wake, Act::Keep]);
    let count = every(3, scene(256, &[EARLY, FOLLOW]));
    println!("{count} interleavings of one who wakes before keeping and one who reads");
}

/// The control: a writer that wakes its readers before the ring and the log have what it wakes them for.
#[test]
fn waking_before_the_commit_is_noticed() {
    const TOO_EARLY: Play = |world, story| world.append(&story.writes, [Act::Wake, Act::Commit, Act::Keep]);
    let (count, text) = noticed(2, scene(256, &[TOO_EARLY, FOLLOW]));
    println!("interleaving {count}: {text}");
}

/// The control: a writer that forgets to wake its readers.
#[test]
fn a_sleeper_that_nobody_wakes_is_noticed() {
    const SILENT: Play = |world, story| world.append(&story.writes, [Act::Commit, Act::Keep, Act::Keep]);
    let (count, text) = noticed(2, scene(256, &[SILENT, FOLLOW]));
    println!("interleaving {count}: {text}");
    assert!(text.contains("deadlock"), "{text}");
}

/// The control: a reader that looks at the task and registers afterwards.
#[test]
fn registering_after_reading_is_noticed() {
    const TOO_LATE: Play = |world, _| {
        let stored = world.look();
        world.read_on(world.register(), stored);
    };
    let (count, text) = noticed(2, scene(256, &[APPEND, TOO_LATE]));
    println!("interleaving {count}: {text}");
    assert!(text.contains("deadlock"), "{text}");
}

/// The control: a reader that takes note of the newest wake-up behind its look into the ring, and so sleeps over it.
#[test]
fn a_wake_up_that_is_slept_over_is_noticed() {
    const SLEEPY: Play = |world, _| {
        let live = world.hub.live(&world.task_id);
        let mut wake = live.watch();
        let mut cursor = world.look().generation;
        while cursor < world.end {
            match live.after(cursor, 1) {
                Tail::Events(events) => cursor = events[0].generation,
                Tail::Behind => cursor = world.look().generation,
                Tail::UpToDate => {
                    wake.borrow_and_update();
                    block_on(wake.changed()).expect("the live side is there");
                }
            }
        }
    };
    let (count, text) = noticed(2, scene(256, &[APPEND, SLEEPY]));
    println!("interleaving {count}: {text}");
    assert!(text.contains("deadlock"), "{text}");
}

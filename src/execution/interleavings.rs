//! Every order in which a few things can happen to one task: writers against each other, and a reader against a writer.
//!
//! Nothing here is drawn by lot. Scripts are merged in all possible ways, and each merge is played from its beginning.

mod merges;
mod threads;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt as _;
use tokio_stream::Stream as _;

use self::merges::in_every_order;
use super::ExecutionSettings;
use super::live::Hub;
use super::subscription::{EventStream, Subscription};
use super::writer::Writer;
use crate::agent::TaskUpdate;
use crate::audit::Author;
use crate::clock::Clock;
use crate::context::Scope;
use crate::pb::{Artifact, Part, TaskState, part};
use crate::repository::conformance::{NOW_MS, Sketch, message, scope};
use crate::repository::memory::MemoryRepository;
use crate::repository::{Error, StoredTask, TaskRepository, TaskWrite};
use crate::shutdown::Shutdown;
use crate::task::{TaskEvent, is_terminal, replay};

fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("memory answers at once")
}

fn status(state: TaskState) -> TaskUpdate {
    TaskUpdate::Status {
        state,
        message: None,
        metadata: None,
    }
}

fn chunk() -> TaskUpdate {
    let content = Some(part::Content::Text("x".to_owned()));
    let parts = vec![Part {
        content,
        ..Part::default()
    }];
    TaskUpdate::Artifact {
        artifact: Artifact {
            artifact_id: "a".to_owned(),
            parts,
            ..Artifact::default()
        },
        append: false,
        last_chunk: false,
        metadata: None,
    }
}

fn created() -> (Arc<MemoryRepository>, Scope) {
    let (repository, scope) = (Arc::new(MemoryRepository::new()), scope("ada"));
    assert_eq!(now(repository.commit(Sketch::new(&scope, "t").create())), Ok(()));
    (repository, scope)
}

fn stored(repository: &MemoryRepository, scope: &Scope) -> StoredTask {
    let stored = now(repository.get(scope, "t"));
    stored.ok().flatten().expect("the task is there")
}

/// The log is dense, folds to the task, and has at most one end, which is its last event.
fn assert_sound(repository: &MemoryRepository, scope: &Scope) -> Vec<Arc<TaskEvent>> {
    let Ok(log) = now(repository.events(scope, "t", 0, usize::MAX)) else {
        panic!("the log can't be read")
    };
    assert_eq!(replay(None, 0, &log), Ok(Some(stored(repository, scope).task)));
    let end = log.iter().position(|event| event.state.is_some_and(is_terminal));
    assert!(
        end.is_none_or(|end| end + 1 == log.len()),
        "something follows the end"
    );
    log
}

/// A process's writer of the task, which gives up when somebody else was quicker.
struct Process {
    writer: Option<Writer>,
    lost: bool,
    /// The generations that it was told are written.
    told: Vec<u64>,
}

impl Process {
    fn new() -> Self {
        Self {
            writer: None,
            lost: false,
            told: Vec::new(),
        }
    }

    fn load(&mut self, repository: &MemoryRepository, scope: &Scope) {
        let clock = Clock::manual(NOW_MS);
        let stored = stored(repository, scope);
        self.writer = Some(Writer::load(
            scope.clone(),
            stored,
            clock,
            &ExecutionSettings::default(),
        ));
    }

    fn write(&mut self, change: impl FnOnce(&mut Writer)) {
        if let Some(writer) = self.writer.as_mut().filter(|_| !self.lost) {
            change(writer);
        }
    }

    fn commit(&mut self, repository: &MemoryRepository) {
        let Some(writer) = self.writer.as_mut().filter(|_| !self.lost) else {
            return;
        };
        let Some(write) = writer.take_write(None) else {
            return;
        };
        let generation = write.generation();
        match now(repository.commit(write)) {
            Ok(()) => self.told.push(generation),
            Err(Error::Stale) => self.lost = true,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Plays an agent's process, a canceling one and one that brings a message; which of the three ended the task.
fn play_processes(order: &[usize]) -> Option<TaskState> {
    let (repository, scope) = created();
    let mut processes = [Process::new(), Process::new(), Process::new()];
    let mut at = [0; 3];
    for who in order {
        let process = &mut processes[*who];
        match (who, at[*who]) {
            (_, 0) => process.load(&repository, &scope),
            (0, 1) => {
                process.write(|writer| drop(writer.update(status(TaskState::Working), &Author::Runtime)))
            }
            (0, 3) => {
                process.write(|writer| drop(writer.update(status(TaskState::Completed), &Author::Runtime)))
            }
            (1, 1) => {
                process.write(|writer| drop(writer.update(status(TaskState::Canceled), &Author::Runtime)))
            }
            (2, 1) => process.write(|writer| drop(writer.receive(message("more"), &Author::Runtime))),
            _ => process.commit(&repository),
        }
        at[*who] += 1;
    }
    let log = assert_sound(&repository, &scope);
    for process in &processes {
        let last = process.told.iter().max().copied().unwrap_or(0);
        assert!(last <= log.len() as u64, "what was acknowledged is there");
    }
    let acknowledged: usize = processes.iter().map(|process| process.told.len()).sum();
    assert_eq!(
        acknowledged,
        log.len() - 1,
        "each event was acknowledged to one writer"
    );
    log.last()
        .and_then(|event| event.state)
        .filter(|state| is_terminal(*state))
}

#[test]
fn of_processes_that_complete_cancel_and_answer_one_ends_the_task() {
    let mut ends = [0; 3];
    let merges = in_every_order(&[5, 3, 3], |order| match play_processes(order) {
        Some(TaskState::Completed) => ends[0] += 1,
        Some(TaskState::Canceled) => ends[1] += 1,
        None => ends[2] += 1,
        Some(other) => panic!("nobody asked for {other:?}"),
    });
    println!("{merges} orders: completed, canceled, open {ends:?}");
    assert_eq!(merges, 9_240);
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
}

/// One writer, as its actor moves it: an agent's updates, a cancel, a message, and commits in between.
#[test]
fn of_a_cancel_and_a_completion_in_one_writer_one_wins() {
    let mut ends = [0; 2];
    let merges = in_every_order(&[3, 1, 1, 2], |order| {
        let (repository, scope) = created();
        let mut process = Process::new();
        process.load(&repository, &scope);
        let (mut at, mut won) = ([0; 4], Vec::new());
        for who in order {
            let update = match (who, at[*who]) {
                (0, 0) => status(TaskState::Working),
                (0, 1) => chunk(),
                (0, _) => status(TaskState::Completed),
                (1, _) => status(TaskState::Canceled),
                (2, _) => {
                    process.write(|writer| {
                        let ended = is_terminal(writer.state());
                        assert_eq!(writer.receive(message("more"), &Author::Runtime).is_err(), ended);
                    });
                    continue;
                }
                _ => {
                    process.commit(&repository);
                    continue;
                }
            };
            at[*who] += 1;
            process.write(|writer| {
                let before = writer.state();
                let taken = writer.update(update, &Author::Runtime).is_ok();
                assert_eq!(taken, !is_terminal(before));
                if taken && is_terminal(writer.state()) {
                    won.push(writer.state());
                }
            });
        }
        process.commit(&repository);
        let log = assert_sound(&repository, &scope);
        assert_eq!(won.len(), 1, "exactly one end");
        assert_eq!(log.last().and_then(|event| event.state), won.first().copied());
        ends[usize::from(won[0] == TaskState::Canceled)] += 1;
    });
    println!("{merges} orders: completed, canceled {ends:?}");
    assert_eq!(merges, 420);
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
}

/// What a writer does with each batch of events.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Commit,
    Keep,
    Wake,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A reader that is polled only when it was woken.
struct Reader {
    woken: Arc<Woken>,
    stream: Option<EventStream>,
    got: Vec<Arc<TaskEvent>>,
    errors: usize,
    ended: bool,
}

impl Reader {
    fn poll(&mut self) {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.ended) else {
            return;
        };
        if !self.woken.0.swap(false, Ordering::AcqRel) {
            return;
        }
        let waker = Waker::from(self.woken.clone());
        match Pin::new(stream).poll_next(&mut Context::from_waker(&waker)) {
            Poll::Pending => return,
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Ok(event))) => self.got.push(event),
            Poll::Ready(Some(Err(_))) => self.errors += 1,
        }
        // Whoever got something asks again.
        self.woken.0.store(true, Ordering::Release);
    }
}

/// Plays a writer of three batches against a reader; true if the reader got every event once, in order, and the end.
fn play_reader(order: &[usize], acts: [Act; 3], ring_events_max: usize) -> bool {
    let scope = scope("ada");
    let repository = Arc::new(MemoryRepository::new());
    let mut sketch = Sketch::new(&scope, "t");
    assert_eq!(now(repository.commit(sketch.create())), Ok(()));
    let mut batches: VecDeque<(Act, TaskWrite)> = VecDeque::new();
    for write in [
        sketch.go(TaskState::Working),
        sketch.chunks(&["x", "y"]),
        sketch.go(TaskState::Completed),
    ] {
        batches.extend(acts.map(|act| (act, write.clone())));
    }
    let settings = ExecutionSettings {
        ring_events_max,
        ..ExecutionSettings::default()
    };
    let (hub, task_id) = (Hub::new(&settings), Arc::from("t"));
    let live = hub.live(&task_id);
    let mut registered = None;
    let mut reader = Reader {
        woken: Arc::new(Woken(AtomicBool::new(true))),
        stream: None,
        got: Vec::new(),
        errors: 0,
        ended: false,
    };
    let mut read = 0;
    for who in order {
        if *who == 0 {
            match batches.pop_front() {
                Some((Act::Commit, write)) => assert_eq!(now(repository.commit(write)), Ok(())),
                Some((Act::Keep, write)) => live.keep(&write.events),
                Some((Act::Wake, write)) => live.wake(write.generation()),
                None => {}
            }
            continue;
        }
        match read {
            0 => {
                registered = Some(Subscription::register(
                    hub.live(&task_id),
                    repository.clone(),
                    Shutdown::new(),
                    scope.clone(),
                    task_id.clone(),
                    false,
                ));
            }
            1 => {
                let StoredTask { task, generation, .. } = stored(&repository, &scope);
                let subscription = registered.take();
                reader.stream = subscription.map(|subscription| subscription.begin_with(generation, task));
            }
            _ => reader.poll(),
        }
        read += 1;
    }
    while reader.woken.0.load(Ordering::Acquire) && !reader.ended && reader.errors == 0 {
        reader.poll();
    }
    let mut numbers = reader.got.iter().map(|event| event.generation).peekable();
    let first = numbers.peek().copied().unwrap_or(0);
    let is_whole = numbers.eq(first..=sketch.generation);
    drop((live, reader.stream));
    assert_eq!(hub.len(), 0, "who has left is forgotten");
    reader.ended && first > 0 && is_whole
}

fn count_failures(acts: [Act; 3]) -> (usize, usize) {
    let (mut merges, mut failures) = (0, 0);
    for ring_events_max in [1, 2, 256] {
        merges += in_every_order(&[9, 7], |order| {
            failures += usize::from(!play_reader(order, acts, ring_events_max));
        });
    }
    (merges, failures)
}

#[test]
fn whenever_a_reader_comes_it_gets_every_event_once() {
    let (merges, failures) = count_failures([Act::Commit, Act::Keep, Act::Wake]);
    println!("{merges} orders of subscribing and appending");
    assert_eq!((merges, failures), (3 * 11_440, 0));
}

/// The control: a writer that wakes its readers before the log and the ring have what it wakes them for.
#[test]
fn waking_readers_before_the_commit_is_noticed() {
    let (merges, failures) = count_failures([Act::Wake, Act::Commit, Act::Keep]);
    println!("{failures} of {merges} orders fail");
    assert!(failures > 0);
}

/// The control: a writer that forgets to wake its readers.
#[test]
fn sleeping_readers_are_noticed() {
    let (merges, failures) = count_failures([Act::Commit, Act::Keep, Act::Keep]);
    println!("{failures} of {merges} orders fail");
    assert!(failures > 0);
}

//! A reader of one task's events: from the ring while it keeps up, from the log when it does not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::Stream;

use super::live::{Live, Tail};
use crate::context::Scope;
use crate::error::Error;
use crate::pb::{Message, Task, stream_response::Payload};
use crate::repository::TaskRepository;
use crate::shutdown::Shutdown;
use crate::task::{TaskEvent, is_interrupted, is_terminal};

/// Events that are read at once; the rest waits for the next round.
const PAGE: usize = 16;

/// Bytes of events that one reader keeps at most, unless a single event is larger: a reader that does not read must
/// not cost more than this.
const PAGE_BYTES: usize = 256 * 1024;

type Item = Result<Arc<TaskEvent>, Error>;

/// The events of a task, or one direct message. It ends behind a terminal state, or with one error.
pub struct EventStream {
    events: Pin<Box<dyn Stream<Item = Item> + Send>>,
    first_generation: Option<u64>,
}

impl EventStream {
    /// Exactly these events and then the end.
    pub(super) fn whole(events: Vec<Arc<TaskEvent>>) -> Self {
        let first_generation = events
            .first()
            .map(|event| event.generation)
            .filter(|generation| *generation > 0);
        Self {
            events: Box::pin(tokio_stream::iter(events.into_iter().map(Ok))),
            first_generation,
        }
    }

    /// The generation of the first event; the others follow densely. `None` for a direct message and for nothing.
    pub fn first_generation(&self) -> Option<u64> {
        self.first_generation
    }

    /// The one direct message of an agent that made no task (specification 3.1.2).
    pub(super) fn message(message: Message) -> Self {
        Self::whole(vec![Arc::new(TaskEvent::encode(0, &Payload::Message(message)))])
    }

    /// Keeps `guard` for as long as the stream exists.
    #[must_use]
    pub fn holding<G: Send + 'static>(self, guard: G) -> Self {
        let events = self.events.inspect(move |_| {
            let _held = &guard;
        });
        Self {
            events: Box::pin(events),
            ..self
        }
    }
}

impl Stream for EventStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("EventStream")
    }
}

/// The state of a reader.
pub(super) struct Subscription {
    live: Arc<Live>,
    wake: watch::Receiver<u64>,
    repository: Arc<dyn TaskRepository>,
    shutdown: Shutdown,
    scope: Scope,
    task_id: Arc<str>,
    cursor: u64,
    close_on_interrupt: bool,
    /// The task itself, if the reader begins with it. Being interrupted does not end the stream here: the reader came
    /// to see what follows.
    opening: Option<Arc<TaskEvent>>,
    ready: VecDeque<Arc<TaskEvent>>,
    ended: bool,
}

impl Subscription {
    /// Registers a reader for wake-ups; it will read what comes after generation `cursor`.
    pub(super) fn register(
        live: Arc<Live>,
        repository: Arc<dyn TaskRepository>,
        shutdown: Shutdown,
        scope: Scope,
        task_id: Arc<str>,
        close_on_interrupt: bool,
    ) -> Self {
        let wake = live.watch();
        Self {
            live,
            wake,
            repository,
            shutdown,
            scope,
            task_id,
            cursor: 0,
            close_on_interrupt,
            opening: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Lets the reader know that the log goes as far as `generation`.
    pub(super) fn wake(&self, generation: u64) {
        self.live.wake(generation);
    }

    /// Continues behind an event that the reader has seen.
    pub(super) fn continue_behind(mut self, cursor: u64) -> EventStream {
        self.cursor = cursor;
        self.stream()
    }

    /// Begins with the task as it is at `generation`, and goes on from there.
    pub(super) fn begin_with(mut self, generation: u64, task: Task) -> EventStream {
        self.cursor = generation;
        self.opening = Some(Arc::new(TaskEvent::encode(generation, &Payload::Task(task))));
        self.stream()
    }

    fn stream(self) -> EventStream {
        let first_generation = match &self.opening {
            Some(task) => task.generation,
            None => self.cursor + 1,
        };
        let events = stream::unfold(self, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        });
        EventStream {
            events: Box::pin(events),
            first_generation: Some(first_generation),
        }
    }

    async fn next(&mut self) -> Option<Item> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(event) = self.opening.take() {
                self.ended = event.state.is_some_and(is_terminal);
                return Some(Ok(event));
            }
            if let Some(event) = self.ready.pop_front() {
                self.ended = self.is_last(&event);
                return Some(Ok(event));
            }
            if let Err(error) = self.refill().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    fn is_last(&self, event: &TaskEvent) -> bool {
        event
            .state
            .is_some_and(|state| is_terminal(state) || (self.close_on_interrupt && is_interrupted(state)))
    }

    /// Waits for events behind the cursor.
    async fn refill(&mut self) -> Result<(), Error> {
        self.wake.borrow_and_update();
        let mut events = match self.live.after(self.cursor, PAGE) {
            Tail::Events(events) => events,
            Tail::Behind => self.read_log().await?,
            Tail::UpToDate => return self.sleep().await,
        };
        shorten(&mut events);
        if let Some(last) = events.last() {
            self.cursor = last.generation;
        }
        self.ready.extend(events);
        Ok(())
    }

    async fn read_log(&self) -> Result<Vec<Arc<TaskEvent>>, Error> {
        let events = self
            .repository
            .events(&self.scope, &self.task_id, self.cursor, PAGE)
            .await?;
        match events.first() {
            Some(first) if first.generation == self.cursor + 1 => Ok(events),
            _ => Err(Error::internal(&format_args!(
                "the log of task {} does not continue behind generation {}",
                self.task_id, self.cursor
            ))),
        }
    }

    async fn sleep(&mut self) -> Result<(), Error> {
        tokio::select! {
            biased;
            // Before the end of the server: what is committed still goes out.
            _ = self.wake.changed() => Ok(()),
            () = self.shutdown.draining() => Err(Error::unavailable(
                "the server is shutting down; subscribe again with the last generation to go on where this ended",
            )
            .with("lastGeneration", self.cursor.to_string())),
        }
    }
}

/// Leaves as many events as fit, and at least one.
fn shorten(events: &mut Vec<Arc<TaskEvent>>) {
    let mut bytes = 0;
    let fits = events.iter().take_while(|event| {
        bytes += event.size();
        bytes <= PAGE_BYTES
    });
    let count = fits.count().max(1);
    events.truncate(count);
}

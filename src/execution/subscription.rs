//! A reader of one task's events: from the ring while it keeps up, from the log when it does not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, StreamExt as _};
use tokio_stream::Stream;

use super::live::{Live, Tail};
use super::sync::watch;
use crate::audit::StreamRecord;
use crate::context::Scope;
use crate::error::Error;
use crate::execution::metered::metered;
use crate::pb::{Message, Task, stream_response::Payload};
use crate::quota::Account;
use crate::repository::{self, TaskRepository};
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
    expired: Option<u64>,
    task_id: Option<Arc<str>>,
    record: StreamRecord,
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
            expired: None,
            task_id: None,
            record: StreamRecord::default(),
        }
    }

    /// The same events, which are of this task.
    pub(super) fn of(self, task_id: &str) -> Self {
        Self {
            task_id: Some(Arc::from(task_id)),
            ..self
        }
    }

    /// The task that the events are of; `None` for a direct message.
    pub fn task_id(&self) -> Option<&str> {
        self.task_id.as_deref()
    }

    /// The generation of the first event; the others follow densely. `None` for a direct message and for nothing.
    pub fn first_generation(&self) -> Option<u64> {
        self.first_generation
    }

    /// The first generation that retention keeps, when the reader's cursor lies before it: the stream begins with the
    /// task as it stands instead.
    pub fn cursor_expired(&self) -> Option<u64> {
        self.expired
    }

    /// The same events, of whose beginning retention has left what comes from `first` on.
    pub(super) fn expired(self, first: u64) -> Self {
        Self {
            expired: Some(first),
            ..self
        }
    }

    /// The same events for a reader that asked for no cursor.
    pub(super) fn unasked(self) -> Self {
        Self {
            expired: None,
            ..self
        }
    }

    /// The one direct message of an agent that made no task (specification 3.1.2).
    pub(super) fn message(message: Message) -> Self {
        Self::whole(vec![Arc::new(TaskEvent::encode(0, &Payload::Message(message)))])
    }

    /// The same events; that [`EventStream::until`] or [`EventStream::metered`] has ended them is recorded so.
    #[must_use]
    pub fn recorded(self, record: StreamRecord) -> Self {
        Self { record, ..self }
    }

    /// The same events until `end` resolves with the reason, as a fixed word; then comes its error, with the cursor behind
    /// the last event.
    #[must_use]
    pub fn until(self, end: impl Future<Output = (&'static str, Error)> + Send + 'static) -> Self {
        let cursor = self.first_generation.map_or(0, |first| first.saturating_sub(1));
        let state = Some((self.events, Box::pin(end), cursor, self.record.clone()));
        let events = stream::unfold(state, |state| async move {
            let (mut events, mut end, mut cursor, record) = state?;
            tokio::select! {
                // The end first: it has to come through however quickly events do.
                biased;
                (reason, error) = &mut end => {
                    record.ended(reason);
                    Some((Err(error.with("lastGeneration", cursor.to_string())), None))
                }
                item = events.next() => {
                    let item = item?;
                    if let Ok(event) = &item {
                        cursor = event.generation;
                    }
                    Some((item, Some((events, end, cursor, record))))
                }
            }
        });
        Self {
            events: Box::pin(events),
            ..self
        }
    }

    /// The same events, until the bytes that the reader may use are used up.
    #[must_use]
    pub fn metered(self, account: Account) -> Self {
        if !account.counts_bytes() {
            return self;
        }
        Self {
            events: metered(self.events, account, self.record.clone()),
            ..self
        }
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

/// What [`Subscription::load`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// Events are ready.
    Events,
    /// Nothing is behind the cursor yet.
    NothingYet,
    /// The task is no longer there: retention has taken it.
    Gone,
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
    /// Registers a reader for wake-ups.
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

    /// A reader that has seen the events up to `cursor`.
    pub(super) fn behind(self, cursor: u64) -> Self {
        Self { cursor, ..self }
    }

    /// The events behind the cursor.
    pub(super) fn go_on(self) -> EventStream {
        self.stream()
    }

    /// Begins with the task as it is at `generation`, and goes on from there.
    pub(super) fn begin_with(mut self, generation: u64, task: Task) -> EventStream {
        self.cursor = generation;
        self.opening = Some(Arc::new(TaskEvent::encode(generation, &Payload::Task(task))));
        self.stream()
    }

    fn stream(self) -> EventStream {
        let first = self.opening.as_ref().or(self.ready.front());
        let first_generation = first.map_or(self.cursor + 1, |event| event.generation);
        let task_id = Some(self.task_id.clone());
        let events = stream::unfold(self, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        });
        EventStream {
            events: Box::pin(events),
            first_generation: Some(first_generation),
            expired: None,
            task_id,
            record: StreamRecord::default(),
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
        match self.load().await {
            Ok(Loaded::Events) => Ok(()),
            Ok(Loaded::NothingYet) => self.sleep().await,
            Ok(Loaded::Gone) => Err(self.with_cursor(Error::task_not_found(&self.task_id))),
            Err(repository::Error::Expired { first }) => Err(self.with_cursor(Error::unavailable(format!(
                "retention has removed the events before {first}; subscribe again with the last generation to begin \
                 with the task"
            )))),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the next events behind the cursor ready.
    ///
    /// # Errors
    /// As [`TaskRepository::events`].
    pub(super) async fn load(&mut self) -> Result<Loaded, repository::Error> {
        self.wake.borrow_and_update();
        let mut events = match self.live.after(self.cursor, PAGE) {
            Tail::Events(events) => events,
            Tail::Behind => self.read_log().await?,
            Tail::UpToDate => return Ok(Loaded::NothingYet),
        };
        shorten(&mut events);
        let Some(last) = events.last() else {
            return Ok(Loaded::Gone);
        };
        self.cursor = last.generation;
        self.ready.extend(events);
        Ok(Loaded::Events)
    }

    /// The log behind the cursor, where somebody has written: only a task that is gone has nothing there.
    async fn read_log(&self) -> Result<Vec<Arc<TaskEvent>>, repository::Error> {
        let events = self
            .repository
            .events(&self.scope, &self.task_id, self.cursor, PAGE)
            .await?;
        match events.first() {
            Some(first) if first.generation != self.cursor + 1 => Err(repository::Error::Corrupt {
                task_id: self.task_id.to_string(),
                generation: Some(self.cursor + 1),
                cause: "the log does not go on here".to_owned(),
            }),
            _ => Ok(events),
        }
    }

    fn with_cursor(&self, error: Error) -> Error {
        error.with("lastGeneration", self.cursor.to_string())
    }

    async fn sleep(&mut self) -> Result<(), Error> {
        tokio::select! {
            biased;
            // Before the end of the server: what is committed still goes out.
            _ = self.wake.changed() => Ok(()),
            () = self.shutdown.draining() => Err(self.with_cursor(Error::unavailable(
                "the server is shutting down; subscribe again with the last generation to go on where this ended",
            ))),
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

//! What goes in and out of a repository.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use crate::context::{Principal, Scope};
use crate::pb::{Task, TaskPushNotificationConfig, TaskState};
use crate::secrets;
use crate::task::TaskEvent;

/// Why a repository did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The task has moved on, or another writer holds it.
    #[error("another writer changed the task first")]
    Stale,
    /// The idempotency key is bound to this task already; it may be the very task that was to be written.
    #[error("the idempotency key belongs to task {0}")]
    KeyTaken(String),
    /// A bounded number of rows is reached.
    #[error("at most {0} are allowed")]
    TooMany(usize),
    /// The database can't be reached, is full or too slow. A write may or may not have taken place.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database can't store this write, however often it is tried: a value is too large for it, or breaks a rule of
    /// its tables. Nothing of it is stored.
    #[error("the database can't store this: {0}")]
    Unstorable(String),
    /// A push configuration can't be sealed, or opened.
    #[error("a push configuration can't be sealed or opened: {0}")]
    Secrets(secrets::Error),
    /// Retention has removed the events that were asked for.
    #[error("the log begins with event {first}; what came before it is past its retention")]
    Expired {
        /// The first event that is still there.
        first: u64,
    },
    /// Stored bytes are damaged.
    #[error("stored data of task {task_id} is damaged: {cause}")]
    Corrupt {
        /// The task.
        task_id: String,
        /// The event, or the event that a snapshot was made after; `None` for what is not of the log.
        generation: Option<u64>,
        /// What is wrong with it.
        cause: String,
    },
}

/// Which open tasks are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQuery {
    /// Those of these agents.
    pub agents: Vec<Arc<str>>,
    /// Those of these owners.
    pub owners: Owners,
    /// How far to count.
    pub limit: usize,
}

/// The owners of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Everybody.
    All,
    /// This one.
    One(Principal),
    /// All whose names begin so.
    Beginning(String),
}

impl Owners {
    /// True if `owner` is one of them.
    pub fn contain(&self, owner: &Principal) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == owner,
            Self::Beginning(beginning) => owner.as_str().starts_with(beginning),
        }
    }
}

/// An idempotency key that is to be bound to the task being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as the caller named it.
    pub key: Arc<str>,
    /// A digest of the request, to tell a repetition from a different request under the same key.
    pub fingerprint: [u8; 16],
    /// When the key may be forgotten, in milliseconds since the epoch.
    pub expires_ms: i64,
}

/// A key that is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The task that it belongs to.
    pub task_id: String,
    /// The digest of the request that bound it.
    pub fingerprint: [u8; 16],
}

/// What a write does to the lease of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Nobody holds the task afterwards: it has settled.
    Released,
    /// The lease stays as it is; its holder renews it elsewhere.
    Kept,
    /// The writer holds the task for this long from now on, by the clock of the database.
    Held(Duration),
}

/// Everything that one commit changes about one task.
#[derive(Clone, Debug)]
pub struct TaskWrite {
    /// Whose task it is.
    pub scope: Scope,
    /// The task.
    pub task_id: Arc<str>,
    /// Its context.
    pub context_id: Arc<str>,
    /// The generation that the writer has seen; 0 creates the task.
    pub expected_generation: u64,
    /// The epoch that the row must have; not looked at when the task is created.
    pub expected_epoch: u64,
    /// The epoch that the row has afterwards: greater than the expected one when a new writer takes over.
    pub epoch: u64,
    /// What becomes of the lease.
    pub lease: Lease,
    /// Which of the caller's messages the agent works on, or begins with when its turn comes: a number from 1, counted
    /// through the history. The later ones wait.
    pub message: u32,
    /// How often the agent has begun to work on that message; 0 while it waits for a free execution.
    pub attempt: u32,
    /// The new events, dense from `expected_generation + 1`.
    pub events: Vec<Arc<TaskEvent>>,
    /// The state after them.
    pub state: TaskState,
    /// The time of the status, in milliseconds since the epoch.
    pub status_ms: i64,
    /// When the events were written, in milliseconds since the epoch: by it their retention is counted.
    pub at_ms: i64,
    /// The encoded `Task` after the events, when it is time for a new snapshot.
    pub snapshot: Option<Bytes>,
    /// The generation of the newest snapshot after this write; 0 while there is none and reading starts at event 1.
    pub snapshot_generation: u64,
    /// Keys to bind to the task: one for each message that came with one.
    pub keys: Vec<IdempotencyKey>,
    /// Push configurations that came with the message.
    pub push_configs: Vec<TaskPushNotificationConfig>,
}

impl TaskWrite {
    /// The generation of the task after this write.
    pub fn generation(&self) -> u64 {
        self.expected_generation + self.events.len() as u64
    }
}

/// A task as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTask {
    /// The task, snapshot and later events folded.
    pub task: Task,
    /// The generation of its last event.
    pub generation: u64,
    /// The generation of its newest snapshot; 0 if it has none.
    pub snapshot_generation: u64,
    /// The epoch of its last writer.
    pub epoch: u64,
    /// Somebody holds a lease on it, run out or not: it is not for others to write, but for whoever takes it over.
    pub held: bool,
    /// Which of the caller's messages the agent works on, as in [`TaskWrite::message`].
    pub message: u32,
    /// How often the agent has begun to work on that message; 0 while it waits for a free execution.
    pub attempt: u32,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only tasks of this context.
    pub context_id: Option<String>,
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// Only tasks whose status is of this time or later, in milliseconds since the epoch.
    pub status_after_ms: Option<i64>,
    /// Only tasks behind this place in the order.
    pub cursor: Option<ListCursor>,
    /// The most tasks to return.
    pub limit: usize,
    /// The most bytes of tasks to return, unless a single one is larger; `None` for no limit.
    pub bytes_max: Option<usize>,
    /// The most tasks to count for the total.
    pub count_limit: usize,
}

/// A place in the order of a listing: just behind this task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// The status time of the last task seen.
    pub status_ms: i64,
    /// Its id.
    pub task_id: String,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPage {
    /// The tasks in order.
    pub tasks: Vec<StoredTask>,
    /// How many tasks match without the cursor, at most the query's `count_limit`.
    pub total: usize,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<ListCursor>,
}

/// A task whose lease ran out: its process died, or does not get through to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapsed {
    /// Whose it is.
    pub scope: Scope,
    /// Its id.
    pub task_id: String,
    /// The epoch of whoever held it.
    pub epoch: u64,
    /// How often the agent has begun to work on the message that it was at; 0 if that waited for a free execution.
    pub attempt: u32,
    /// When the lease ran out, in milliseconds since the epoch, by the clock of the database.
    pub lease_until_ms: i64,
}

/// A task that waits for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Whose it is.
    pub scope: Scope,
    /// Its id.
    pub task_id: String,
    /// Since when it waits, in milliseconds since the epoch.
    pub status_ms: i64,
}

/// Takes tasks into a page for as long as `left` bytes last, and at least one; false when the page is full.
pub(super) fn take_while_they_fit(
    page: &mut Vec<StoredTask>,
    tasks: impl IntoIterator<Item = StoredTask>,
    left: &mut Option<usize>,
) -> bool {
    for task in tasks {
        if let Some(left) = left {
            let bytes = task.task.encoded_len();
            if bytes > *left && !page.is_empty() {
                return false;
            }
            *left = left.saturating_sub(bytes);
        }
        page.push(task);
    }
    true
}

/// Whole milliseconds, as columns hold them.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

//! The one writer of a task: updates in, events out, conditional writes to the repository.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::ExecutionSettings;
use super::command::Extras;
use super::fence::Fence;
use super::reader::TaskCell;
use super::tail::Tail;
use super::trail::Changes;
use crate::agent::TaskUpdate;
use crate::audit::Author;
use crate::clock::Clock;
use crate::context::Scope;
use crate::error::Violation;
use crate::pb::inspect::{InspectLimits, inspect};
use crate::pb::stream_response::Payload;
use crate::pb::{
    Message, Role, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent, Timestamp,
};
use crate::repository::{StoredTask, TaskWrite};
use crate::task::{Refusal, TaskEvent, apply, is_terminal, receive};

/// Why a writer takes no update.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{}: {}", .0.field, .0.description)]
    Invalid(Violation),
    #[error("the log of a task has at most {0} bytes")]
    TooLarge(usize),
    #[error("a direct message can only be the first and only answer to a new task, of an agent that says so")]
    Reply,
    #[error("the agent returned without a result")]
    NoResult,
}

#[derive(Debug)]
pub(super) struct Writer {
    scope: Scope,
    task_id: Arc<str>,
    context_id: Arc<str>,
    cell: Arc<TaskCell>,
    clock: Clock,
    state: TaskState,
    status_ms: i64,
    /// The generation that is in the repository, or on its way there.
    written: u64,
    pending: Vec<Arc<TaskEvent>>,
    /// The changes of the state among them.
    changes: Changes,
    /// The caller's messages in the history.
    received: u32,
    fence: Fence,
    extras: Extras,
    tail: Tail,
    bytes: usize,
    bytes_max: usize,
    artifacts_max: usize,
    inspect: InspectLimits,
    snapshot_every: usize,
}

impl Writer {
    /// The writer of a new task: SUBMITTED, with the message as its history. Nothing is stored yet.
    pub(super) fn create(
        scope: Scope,
        (task_id, context_id): (Arc<str>, Arc<str>),
        message: Message,
        author: &Author,
        clock: Clock,
        settings: &ExecutionSettings,
    ) -> Self {
        let status_ms = clock.now_ms();
        let task = Task {
            id: task_id.to_string(),
            context_id: context_id.to_string(),
            status: Some(status(TaskState::Submitted, None, status_ms)),
            history: vec![message],
            ..Task::default()
        };
        let creation = TaskEvent::creation(&task);
        let mut writer = Self {
            scope,
            task_id,
            context_id,
            cell: TaskCell::new(task),
            clock,
            state: TaskState::Submitted,
            status_ms,
            written: 0,
            pending: Vec::with_capacity(4),
            changes: Changes::default(),
            received: 1,
            fence: Fence::new(settings.lease),
            extras: Extras::default(),
            tail: Tail::default(),
            bytes: 0,
            bytes_max: settings.task_bytes_max,
            artifacts_max: settings.artifacts_max,
            inspect: settings.inspect.clone(),
            snapshot_every: settings.snapshot_every_events,
        };
        writer.changes.note(1, None, TaskState::Submitted, author);
        writer.push(creation);
        writer
    }

    /// The writer of a task that was taken over from another writer: the row has its epoch and its lease already.
    pub(super) fn resume(
        scope: Scope,
        stored: StoredTask,
        clock: Clock,
        settings: &ExecutionSettings,
    ) -> Self {
        let mut writer = Self::load(scope, stored, clock, settings);
        writer.fence.is_taken_over();
        writer
    }

    /// The writer of a stored task; with its first write it takes over from any writer before it.
    pub(super) fn load(scope: Scope, stored: StoredTask, clock: Clock, settings: &ExecutionSettings) -> Self {
        let fence = Fence::behind(&stored, settings.lease);
        let StoredTask {
            task,
            generation,
            snapshot_generation,
            ..
        } = stored;
        let status = task.status.clone().unwrap_or_default();
        let bytes = task.encoded_len();
        let received = task.history.iter().filter(|message| is_callers(message)).count();
        let received = u32::try_from(received).unwrap_or(u32::MAX);
        Self {
            scope,
            task_id: Arc::from(task.id.as_str()),
            context_id: Arc::from(task.context_id.as_str()),
            state: status.state(),
            status_ms: status
                .timestamp
                .map_or(0, |at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000),
            cell: TaskCell::new(task),
            clock,
            written: generation,
            pending: Vec::new(),
            changes: Changes::default(),
            received,
            fence,
            extras: Extras::default(),
            // The stored snapshot stays where it is until a tail as heavy as the task has come.
            tail: Tail::behind(snapshot_generation, bytes),
            bytes,
            bytes_max: settings.task_bytes_max,
            artifacts_max: settings.artifacts_max,
            inspect: settings.inspect.clone(),
            snapshot_every: settings.snapshot_every_events,
        }
    }

    pub(super) fn task_id(&self) -> &Arc<str> {
        &self.task_id
    }

    pub(super) fn context_id(&self) -> &Arc<str> {
        &self.context_id
    }

    pub(super) fn cell(&self) -> &Arc<TaskCell> {
        &self.cell
    }

    pub(super) fn state(&self) -> TaskState {
        self.state
    }

    /// The time of the newest status.
    pub(super) fn status_ms(&self) -> i64 {
        self.status_ms
    }

    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// How many messages the caller has sent; the newest one has this number.
    pub(super) fn received(&self) -> u32 {
        self.received
    }

    /// Counts an attempt at a message with the next write.
    pub(super) fn set_attempt(&mut self, message: u32, attempt: u32) {
        self.fence.set_attempt(message, attempt);
    }

    /// The generation up to which events were handed to the repository.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The task itself, when nobody needs the writer any more.
    pub(super) fn into_task(self) -> Task {
        std::mem::take(&mut *self.cell.lock())
    }

    pub(super) fn pending(&self) -> &[Arc<TaskEvent>] {
        &self.pending
    }

    /// True while the repository has never seen the task.
    pub(super) fn is_unstored(&self) -> bool {
        self.written == 0
    }

    /// Lets side rows go along with the next write.
    pub(super) fn attach(&mut self, extras: Extras) {
        self.extras.keys.extend(extras.keys);
        self.extras.push_configs.extend(extras.push_configs);
    }

    /// Applies an update; `author` is whose it is.
    pub(super) fn update(&mut self, update: TaskUpdate, author: &Author) -> Result<(), Fault> {
        match update {
            TaskUpdate::Status {
                state,
                mut message,
                metadata,
            } => {
                // What an agent says is never counted as a message to it.
                if let Some(message) = &mut message {
                    message.role = Role::Agent.into();
                }
                let status_ms = self.now_ms();
                let event = TaskStatusUpdateEvent {
                    task_id: self.task_id.to_string(),
                    context_id: self.context_id.to_string(),
                    status: Some(status(state, message, status_ms)),
                    metadata,
                };
                self.record(Payload::StatusUpdate(event))?;
                let generation = self.written + self.pending.len() as u64;
                self.changes.note(generation, Some(self.state), state, author);
                self.state = state;
                self.status_ms = status_ms;
                Ok(())
            }
            TaskUpdate::Artifact {
                artifact,
                append,
                last_chunk,
                metadata,
            } => self.record(Payload::ArtifactUpdate(TaskArtifactUpdateEvent {
                task_id: self.task_id.to_string(),
                context_id: self.context_id.to_string(),
                artifact: Some(artifact),
                append,
                last_chunk,
                metadata,
            })),
            TaskUpdate::Reply(_) => Err(Fault::Reply),
        }
    }

    /// Takes a caller's message into the history; the task is WORKING from here on.
    pub(super) fn receive(&mut self, message: Message, author: &Author) -> Result<(), Fault> {
        let bytes = message.encoded_len();
        if self.bytes + bytes > self.bytes_max {
            return Err(Fault::TooLarge(self.bytes_max));
        }
        let working = TaskUpdate::Status {
            state: TaskState::Working,
            message: None,
            metadata: None,
        };
        self.update(working, author)?;
        if let Some(event) = self.pending.pop() {
            self.pending
                .push(Arc::new((*event).clone().with_received(&message)));
        }
        self.bytes += bytes;
        self.tail.weighs(bytes);
        self.received += 1;
        receive(&mut self.cell.lock(), message);
        Ok(())
    }

    /// What the repository has to be told, if anything. The events count as written from here on: a writer whose
    /// write fails for good writes no more. `next` is the message that the agent gets when it has said its last word to
    /// the one before, and has.
    pub(super) fn take_write(&mut self, next: Option<u32>) -> Option<TaskWrite> {
        if self.pending.is_empty() {
            return None;
        }
        let expected_generation = self.written;
        let events = std::mem::take(&mut self.pending);
        self.written += events.len() as u64;
        let snapshot = self.snapshot();
        let extras = std::mem::take(&mut self.extras);
        let claim = self.fence.claim(self.state, next);
        Some(TaskWrite {
            scope: self.scope.clone(),
            task_id: self.task_id.clone(),
            context_id: self.context_id.clone(),
            expected_generation,
            expected_epoch: claim.expected_epoch,
            epoch: claim.epoch,
            lease: claim.lease,
            message: claim.message,
            attempt: claim.attempt,
            events,
            state: self.state,
            status_ms: self.status_ms,
            at_ms: self.now_ms(),
            snapshot,
            snapshot_generation: self.tail.snapshot_generation(),
            keys: extras.keys,
            push_configs: extras.push_configs,
        })
    }

    /// The changes of the state in the write that was taken last, for its audit records.
    pub(super) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Encodes and applies one event; a refused one leaves no trace.
    fn record(&mut self, payload: Payload) -> Result<(), Fault> {
        self.inspect(&payload)?;
        let generation = self.written + self.pending.len() as u64 + 1;
        let event = TaskEvent::encode(generation, &payload);
        // A final status always fits: nothing may keep a task from ending.
        let ends = event.state.is_some_and(is_terminal);
        if !ends && self.bytes + event.payload.len() > self.bytes_max {
            return Err(Fault::TooLarge(self.bytes_max));
        }
        apply(&mut self.cell.lock(), payload, self.artifacts_max)?;
        self.push(event);
        Ok(())
    }

    /// What is stored must be readable on every binding for ever: not too deep, complete, without U+0000.
    fn inspect(&self, payload: &Payload) -> Result<(), Fault> {
        let inspected = match payload {
            Payload::StatusUpdate(update) => inspect(update, &self.inspect),
            Payload::ArtifactUpdate(update) => inspect(update, &self.inspect),
            Payload::Task(_) | Payload::Message(_) => Ok(()),
        };
        match inspected
            .err()
            .and_then(|violations| violations.into_iter().next())
        {
            Some(violation) => Err(Fault::Invalid(violation)),
            None => Ok(()),
        }
    }

    fn push(&mut self, event: TaskEvent) {
        self.bytes += event.payload.len();
        self.tail.grows(event.payload.len());
        self.pending.push(Arc::new(event));
    }

    fn snapshot(&mut self) -> Option<Bytes> {
        if !self.tail.is_due(self.snapshot_every, is_terminal(self.state)) {
            return None;
        }
        let snapshot = Bytes::from(self.cell.lock().encode_to_vec());
        self.tail = Tail::behind(self.written, snapshot.len());
        Some(snapshot)
    }

    /// Time never goes back within a task, whatever the machine's clock does.
    fn now_ms(&self) -> i64 {
        self.clock.now_ms().max(self.status_ms)
    }
}

/// True for a message of the caller's. The engine sees to it that no other has this role.
pub(super) fn is_callers(message: &Message) -> bool {
    message.role() == Role::User
}

fn status(state: TaskState, message: Option<Message>, at_ms: i64) -> TaskStatus {
    let timestamp = Timestamp {
        seconds: at_ms.div_euclid(1_000),
        nanos: i32::try_from(at_ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
    };
    TaskStatus {
        state: state.into(),
        message,
        timestamp: Some(timestamp),
    }
}

//! A writer as simple as can be: it makes the writes of one task, one behind the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use crate::context::{Principal, Scope};
use crate::pb::stream_response::Payload;
use crate::pb::{
    Artifact, Message, Part, Role, Task, TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskState,
    TaskStatus, TaskStatusUpdateEvent, Timestamp, part,
};
use crate::repository::{IdempotencyKey, Lease, StoredTask, TaskWrite};
use crate::task::{TaskEvent, apply, is_settled, receive};

/// The time at which the suite's tasks begin: in the future, so that no key has expired by the clock of the machine
/// before a case has looked at it.
pub const NOW_MS: i64 = 4_000_000_000_000;

/// Somebody's tasks at the agent `echo`.
pub fn scope(owner: &str) -> Scope {
    Scope {
        agent: Arc::from("echo"),
        owner: Principal::verified(owner),
    }
}

/// A user's message of one text.
pub fn message(text: &str) -> Message {
    Message {
        message_id: format!("m-{text}"),
        role: Role::User.into(),
        parts: vec![text_part(text)],
        ..Message::default()
    }
}

/// A key that expires a minute after [`NOW_MS`].
pub fn key(key: &str) -> IdempotencyKey {
    IdempotencyKey {
        key: Arc::from(key),
        fingerprint: [7; 16],
        expires_ms: NOW_MS + 60_000,
    }
}

/// A push configuration of a task.
pub fn push_config(task_id: &str, id: &str, url: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        task_id: task_id.to_owned(),
        id: id.to_owned(),
        url: url.to_owned(),
        ..TaskPushNotificationConfig::default()
    }
}

/// A task as its writer believes it to be. Every `TaskWrite` made here moves it on, stored or not; clone it first to
/// play two writers.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// Whose task it is.
    pub scope: Scope,
    /// The task after all writes.
    pub task: Task,
    /// The generation after all writes.
    pub generation: u64,
    /// The epoch that the writer holds.
    pub epoch: u64,
    /// How long each write that does not settle the task holds it; zero at first, so that every lease runs out at once.
    pub lease: Duration,
    /// The message that the writer is at.
    pub message: u32,
    /// The attempt that the writer is at.
    pub attempt: u32,
    /// The time of the newest status.
    pub status_ms: i64,
    /// The generation of the newest snapshot.
    pub snapshot_generation: u64,
}

impl Sketch {
    /// A task that is not stored yet.
    pub fn new(scope: &Scope, id: &str) -> Self {
        Self::at(scope, id, "context", NOW_MS)
    }

    /// A task of a context, SUBMITTED at a time.
    pub fn at(scope: &Scope, id: &str, context_id: &str, status_ms: i64) -> Self {
        let task = Task {
            id: id.to_owned(),
            context_id: context_id.to_owned(),
            status: Some(status(TaskState::Submitted, status_ms)),
            history: vec![message("hello")],
            ..Task::default()
        };
        Self {
            scope: scope.clone(),
            task,
            generation: 0,
            epoch: 1,
            lease: Duration::ZERO,
            message: 1,
            attempt: 1,
            status_ms,
            snapshot_generation: 0,
        }
    }

    /// The write that creates the task.
    pub fn create(&mut self) -> TaskWrite {
        let creation = TaskEvent::creation(&self.task);
        self.write(vec![creation])
    }

    /// The write of one new status, one millisecond later.
    pub fn go(&mut self, state: TaskState) -> TaskWrite {
        self.go_at(state, self.status_ms + 1)
    }

    /// The write of one new status at a time.
    pub fn go_at(&mut self, state: TaskState, status_ms: i64) -> TaskWrite {
        let event = self.status_event(state, status_ms);
        self.write(vec![event])
    }

    /// The write of several chunks of the artifact `a`.
    pub fn chunks(&mut self, texts: &[&str]) -> TaskWrite {
        let events = texts.iter().map(|text| self.chunk_event(text));
        let numbered: Vec<TaskEvent> = events.collect();
        self.write(numbered)
    }

    /// The write of a caller's message.
    pub fn hear(&mut self, text: &str) -> TaskWrite {
        let heard = message(text);
        let event = self
            .status_event(TaskState::Working, self.status_ms + 1)
            .with_received(&heard);
        receive(&mut self.task, heard);
        self.write(vec![event])
    }

    /// Adds a snapshot to the newest write.
    pub fn with_snapshot(&mut self, mut write: TaskWrite) -> TaskWrite {
        self.snapshot_generation = self.generation;
        write.snapshot = Some(Bytes::from(self.task.encode_to_vec()));
        write.snapshot_generation = self.generation;
        write
    }

    /// What a read must give.
    pub fn stored(&self) -> StoredTask {
        StoredTask {
            task: self.task.clone(),
            generation: self.generation,
            snapshot_generation: self.snapshot_generation,
            epoch: self.epoch,
            held: !is_settled(self.state()),
            message: self.message,
            attempt: self.attempt,
        }
    }

    /// The state after all writes.
    pub fn state(&self) -> TaskState {
        self.task
            .status
            .as_ref()
            .map(TaskStatus::state)
            .unwrap_or_default()
    }

    fn status_event(&mut self, state: TaskState, status_ms: i64) -> TaskEvent {
        self.status_ms = status_ms;
        self.event(Payload::StatusUpdate(TaskStatusUpdateEvent {
            task_id: self.task.id.clone(),
            context_id: self.task.context_id.clone(),
            status: Some(status(state, status_ms)),
            metadata: None,
        }))
    }

    fn chunk_event(&mut self, text: &str) -> TaskEvent {
        let artifact = Artifact {
            artifact_id: "a".to_owned(),
            parts: vec![text_part(text)],
            ..Artifact::default()
        };
        self.event(Payload::ArtifactUpdate(TaskArtifactUpdateEvent {
            task_id: self.task.id.clone(),
            context_id: self.task.context_id.clone(),
            append: !self.task.artifacts.is_empty(),
            artifact: Some(artifact),
            ..TaskArtifactUpdateEvent::default()
        }))
    }

    /// An event that is not numbered yet.
    fn event(&mut self, payload: Payload) -> TaskEvent {
        let event = TaskEvent::encode(0, &payload);
        if let Err(refusal) = apply(&mut self.task, payload, usize::MAX) {
            panic!("the suite made an event that can't happen: {refusal}");
        }
        event
    }

    fn write(&mut self, events: Vec<TaskEvent>) -> TaskWrite {
        let expected_generation = self.generation;
        let numbered = events.into_iter().map(|mut event| {
            self.generation += 1;
            event.generation = self.generation;
            Arc::new(event)
        });
        let events = numbered.collect();
        TaskWrite {
            scope: self.scope.clone(),
            task_id: Arc::from(self.task.id.as_str()),
            context_id: Arc::from(self.task.context_id.as_str()),
            expected_generation,
            expected_epoch: self.epoch,
            epoch: self.epoch,
            lease: if is_settled(self.state()) {
                Lease::Released
            } else {
                Lease::Held(self.lease)
            },
            message: self.message,
            attempt: self.attempt,
            events,
            state: self.state(),
            status_ms: self.status_ms,
            at_ms: self.status_ms,
            snapshot: None,
            snapshot_generation: self.snapshot_generation,
            keys: Vec::new(),
            push_configs: Vec::new(),
        }
    }
}

fn status(state: TaskState, at_ms: i64) -> TaskStatus {
    let nanos = i32::try_from(at_ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000;
    let timestamp = Timestamp {
        seconds: at_ms.div_euclid(1_000),
        nanos,
    };
    TaskStatus {
        state: state.into(),
        message: None,
        timestamp: Some(timestamp),
    }
}

fn text_part(text: &str) -> Part {
    Part {
        content: Some(part::Content::Text(text.to_owned())),
        ..Part::default()
    }
}

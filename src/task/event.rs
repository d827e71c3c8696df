//! One entry of a task's log.

use std::sync::OnceLock;

use bytes::Bytes;
use prost::Message as _;

use super::Refusal;
use crate::pb::stream_response::Payload;
use crate::pb::{Message, StreamResponse, Task, TaskState};

/// Event number `generation` of a task, dense from 1, as it stands in the log and goes out on streams.
///
/// It holds the very bytes that are stored and sent: encoded once, shared by every subscriber.
#[derive(Debug)]
pub struct TaskEvent {
    /// The number of the event in its task's log; 0 for a direct message, which no log has.
    pub generation: u64,
    /// A `StreamResponse`, protobuf-encoded.
    pub payload: Bytes,
    /// The state that the task is in after this event, if the event says so.
    pub state: Option<TaskState>,
    /// A caller's `Message` that joined the history together with this event, protobuf-encoded.
    pub received: Option<Bytes>,
    json: OnceLock<Bytes>,
}

/// Why events can't be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A generation is missing or out of order.
    #[error("event {found} follows event {after}: the log has a gap")]
    Gap {
        /// The generation before the gap.
        after: u64,
        /// The generation that was found.
        found: u64,
    },
    /// The log does not begin with the task.
    #[error("the log does not begin with the task")]
    NoTask,
    /// The bytes are not what they should be.
    #[error("event {0} does not decode")]
    Undecodable(u64),
    /// The event is one that the state machine refuses.
    #[error("a stored event is refused: {0}")]
    Refused(#[from] Refusal),
}

impl TaskEvent {
    /// An event from its encoded payload.
    pub fn new(generation: u64, payload: Bytes, state: Option<TaskState>, received: Option<Bytes>) -> Self {
        Self {
            generation,
            payload,
            state,
            received,
            json: OnceLock::new(),
        }
    }

    /// An event that encodes `payload` now, as a `StreamResponse` with just that.
    pub fn encode(generation: u64, payload: &Payload) -> Self {
        let state = match payload {
            Payload::Task(task) => task.status.as_ref().map(|status| status.state()),
            Payload::StatusUpdate(update) => update.status.as_ref().map(|status| status.state()),
            Payload::Message(_) | Payload::ArtifactUpdate(_) => None,
        };
        let mut bytes = Vec::with_capacity(payload.encoded_len());
        payload.encode(&mut bytes);
        Self::new(generation, Bytes::from(bytes), state, None)
    }

    /// The first event of a task: the task itself, encoded without taking it.
    pub fn creation(task: &Task) -> Self {
        const TASK_FIELD: u32 = 1;
        let mut bytes = Vec::with_capacity(prost::encoding::message::encoded_len(TASK_FIELD, task));
        prost::encoding::message::encode(TASK_FIELD, task, &mut bytes);
        Self::new(
            1,
            Bytes::from(bytes),
            task.status.as_ref().map(|status| status.state()),
            None,
        )
    }

    /// The same event with a caller's message that joins the history together with it.
    #[must_use]
    pub fn with_received(mut self, message: &Message) -> Self {
        self.received = Some(Bytes::from(message.encode_to_vec()));
        self
    }

    /// The payload as a typed value.
    ///
    /// # Errors
    /// When the stored bytes are damaged.
    pub fn decode(&self) -> Result<Payload, ReplayError> {
        StreamResponse::decode(self.payload.clone())
            .ok()
            .and_then(|response| response.payload)
            .ok_or(ReplayError::Undecodable(self.generation))
    }

    /// The caller's message that joined the history with this event.
    ///
    /// # Errors
    /// When the stored bytes are damaged.
    pub fn decode_received(&self) -> Result<Option<Message>, ReplayError> {
        self.received
            .as_ref()
            .map(|bytes| {
                Message::decode(bytes.clone()).map_err(|_| ReplayError::Undecodable(self.generation))
            })
            .transpose()
    }

    /// The payload in its JSON form, made by `render` once and then shared by all streams.
    pub fn json(&self, render: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.json.get_or_init(|| render(self))
    }

    /// Bytes that the event keeps in memory.
    pub fn size(&self) -> usize {
        self.payload.len()
            + self.received.as_ref().map_or(0, Bytes::len)
            + self.json.get().map_or(0, Bytes::len)
            + size_of::<Self>()
    }
}

impl Clone for TaskEvent {
    fn clone(&self) -> Self {
        Self::new(
            self.generation,
            self.payload.clone(),
            self.state,
            self.received.clone(),
        )
    }
}

impl PartialEq for TaskEvent {
    fn eq(&self, other: &Self) -> bool {
        (self.generation, &self.payload, self.state, &self.received)
            == (other.generation, &other.payload, other.state, &other.received)
    }
}

//! The stored form of a log's row: the events of one commit, as one protobuf value.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use crate::pb::TaskState;
use crate::repository::Error;
use crate::task::TaskEvent;

/// The `events` column of `task_log`.
#[derive(Clone, PartialEq, Message)]
struct StoredEvents {
    #[prost(message, repeated, tag = "1")]
    events: Vec<StoredEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredEvent {
    /// The encoded `StreamResponse`.
    #[prost(bytes = "bytes", tag = "1")]
    payload: Bytes,
    /// The encoded caller's `Message`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    received: Option<Bytes>,
    /// The state after the event, if it says so.
    #[prost(int32, optional, tag = "3")]
    state: Option<i32>,
}

/// The column value for these events.
pub(super) fn encode(events: &[Arc<TaskEvent>]) -> Vec<u8> {
    let events = events
        .iter()
        .map(|event| StoredEvent {
            payload: event.payload.clone(),
            received: event.received.clone(),
            state: event.state.map(i32::from),
        })
        .collect();
    StoredEvents { events }.encode_to_vec()
}

/// The events of a row that begins with `first_generation`.
pub(super) fn decode(
    task_id: &str,
    first_generation: u64,
    column: Bytes,
) -> Result<Vec<Arc<TaskEvent>>, Error> {
    let stored = StoredEvents::decode(column).map_err(|error| Error::Corrupt {
        task_id: task_id.to_owned(),
        cause: format!("events from {first_generation}: {error}"),
    })?;
    let events = stored.events.into_iter().enumerate().map(|(index, event)| {
        let state = event.state.and_then(|state| TaskState::try_from(state).ok());
        Arc::new(TaskEvent::new(
            first_generation + index as u64,
            event.payload,
            state,
            event.received,
        ))
    });
    Ok(events.collect())
}

//! The stored form of a log row: the events of one commit, one behind the other, each with its checksum.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::seal::{self, Sum};
use crate::pb::TaskState;
use crate::repository::Error;
use crate::task::TaskEvent;

/// The `events` column of `task_log`.
#[derive(Clone, PartialEq, Message)]
struct StoredEvents {
    #[prost(message, repeated, tag = "1")]
    events: Vec<StoredEvent>,
}

const EVENTS_FIELD: u32 = 1;

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
    /// The CRC-32 of all the above and of the event's place.
    #[prost(fixed32, optional, tag = "4")]
    checksum: Option<u32>,
}

impl StoredEvent {
    fn sum(&self, task_id: &str, generation: u64) -> u32 {
        let state = self.state.map_or([0; 5], |state| {
            let [a, b, c, d] = state.to_le_bytes();
            [1, a, b, c, d]
        });
        let sum = Sum::of(task_id)
            .and_number(generation)
            .and(&state)
            .and(&self.payload);
        match &self.received {
            Some(received) => sum.and(received),
            None => sum,
        }
        .end()
    }
}

/// The column value for these events of a task.
pub(super) fn encode(task_id: &str, events: &[Arc<TaskEvent>]) -> Vec<u8> {
    let events = events
        .iter()
        .map(|event| {
            let mut stored = StoredEvent {
                payload: event.payload.clone(),
                received: event.received.clone(),
                state: event.state.map(i32::from),
                checksum: None,
            };
            stored.checksum = Some(stored.sum(task_id, event.generation));
            stored
        })
        .collect();
    StoredEvents { events }.encode_to_vec()
}

/// The events of a row that holds generations `first` to `last`, each of them sound or damaged. Where the bytes between
/// two events are damaged, what follows can't be found and is left out.
pub(super) fn decode(
    task_id: &str,
    (first, last): (u64, u64),
    mut column: Bytes,
) -> Vec<Result<Arc<TaskEvent>, Error>> {
    let mut events = Vec::new();
    for generation in first..=last {
        let event = next_frame(&mut column).map(|frame| open(task_id, generation, frame));
        let is_end = event.is_err();
        let event = event.flatten().map(Arc::new);
        events.push(event.map_err(|cause| damaged(task_id, generation, cause)));
        if is_end {
            return events;
        }
    }
    if !column.is_empty()
        && let Some(event) = events.last_mut()
    {
        *event = Err(damaged(task_id, last, "more bytes follow the event"));
    }
    events
}

/// All events of a row, if all of them are sound.
pub(super) fn decode_all(
    task_id: &str,
    range: (u64, u64),
    column: Bytes,
) -> Result<Vec<Arc<TaskEvent>>, Error> {
    decode(task_id, range, column).into_iter().collect()
}

/// What to say of an event that is not what was stored.
pub(super) fn damaged(task_id: &str, generation: u64, cause: impl Into<String>) -> Error {
    Error::Corrupt {
        task_id: task_id.to_owned(),
        generation: Some(generation),
        cause: cause.into(),
    }
}

/// The bytes of the next event.
fn next_frame(column: &mut Bytes) -> Result<Bytes, &'static str> {
    const DAMAGED: &str = "the bytes around the event are damaged";
    if column.is_empty() {
        return Err("the event is missing");
    }
    let (field, wire) = decode_key(column).map_err(|_| DAMAGED)?;
    if field != EVENTS_FIELD || wire != WireType::LengthDelimited {
        return Err(DAMAGED);
    }
    let length = decode_varint(column)
        .ok()
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length <= column.remaining())
        .ok_or(DAMAGED)?;
    Ok(column.split_to(length))
}

fn open(task_id: &str, generation: u64, frame: Bytes) -> Result<TaskEvent, &'static str> {
    let stored = StoredEvent::decode(frame).map_err(|_| "the event does not decode")?;
    if stored.checksum != Some(stored.sum(task_id, generation)) {
        return Err("the event's checksum does not match");
    }
    let state = stored.state.and_then(|state| TaskState::try_from(state).ok());
    Ok(TaskEvent::new(generation, stored.payload, state, stored.received))
}

fn snapshot_place(task_id: &str, generation: u64) -> Sum {
    Sum::of(task_id).and_number(generation)
}

/// The column value for the encoded `Task` after event `generation`.
pub(super) fn encode_snapshot(task_id: &str, generation: u64, snapshot: &[u8]) -> Vec<u8> {
    seal::close(snapshot_place(task_id, generation), snapshot)
}

/// The encoded `Task` of a snapshot column.
pub(super) fn decode_snapshot(
    task_id: &str,
    generation: u64,
    column: impl Into<Bytes>,
) -> Result<Bytes, Error> {
    seal::open(snapshot_place(task_id, generation), column)
        .ok_or("the snapshot's checksum does not match")
        .map_err(|cause| damaged(task_id, generation, cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::conformance::{Sketch, scope};

    /// Events of every kind, in one row, and a snapshot.
    fn row() -> (Vec<Arc<TaskEvent>>, Vec<u8>, Vec<u8>) {
        let mut sketch = Sketch::new(&scope("ada"), "t");
        let mut events = sketch.create().events;
        events.extend(sketch.chunks(&["one", "", "three"]).events);
        events.extend(sketch.hear("go on").events);
        events.extend(sketch.go(TaskState::Completed).events);
        let column = encode("t", &events);
        let snapshot = encode_snapshot("t", sketch.generation, &sketch.task.encode_to_vec());
        (events, column, snapshot)
    }

    fn flipped(column: &[u8], bit: usize) -> Vec<u8> {
        let mut column = column.to_vec();
        column[bit / 8] ^= 1 << (bit % 8);
        column
    }

    #[test]
    fn every_flipped_bit_of_a_row_is_found_and_what_stands_before_it_is_kept() {
        let (events, column, _) = row();
        let range = (1, events.len() as u64);
        assert_eq!(decode_all("t", range, column.clone().into()).unwrap(), events);
        for bit in 0..column.len() * 8 {
            let decoded = decode("t", range, flipped(&column, bit).into());
            let sound = decoded.iter().take_while(|event| event.is_ok()).count();
            assert!(sound < events.len(), "bit {bit} went unseen");
            for (event, stored) in decoded.iter().zip(&events) {
                assert!(
                    event.as_ref().is_err() || event.as_ref() == Ok(stored),
                    "bit {bit}"
                );
            }
            let generation = sound as u64 + 1;
            let found = decoded.into_iter().nth(sound).and_then(Result::err);
            assert!(
                matches!(&found, Some(Error::Corrupt { task_id, generation: Some(n), .. })
                    if task_id == "t" && *n == generation),
                "bit {bit}: {found:?}"
            );
        }
        eprintln!("{} bits of a row flipped, all found", column.len() * 8);
    }

    #[test]
    fn every_flipped_bit_of_a_snapshot_is_found() {
        let (events, _, snapshot) = row();
        let generation = events.len() as u64;
        assert!(decode_snapshot("t", generation, snapshot.clone()).is_ok());
        for bit in 0..snapshot.len() * 8 {
            let found = decode_snapshot("t", generation, flipped(&snapshot, bit));
            assert!(matches!(found, Err(Error::Corrupt { .. })), "bit {bit}");
        }
        eprintln!("{} bits of a snapshot flipped, all found", snapshot.len() * 8);
    }

    #[test]
    fn a_row_that_is_cut_or_moved_is_found() {
        let (events, column, snapshot) = row();
        let last = events.len() as u64;
        for length in 0..column.len() {
            assert!(
                decode_all("t", (1, last), column[..length].to_vec().into()).is_err(),
                "{length}"
            );
        }
        assert!(
            decode_all("t", (1, last - 1), column.clone().into()).is_err(),
            "an event too many"
        );
        assert!(
            decode_all("t", (1, last + 1), column.clone().into()).is_err(),
            "an event too few"
        );
        assert!(
            decode_all("t", (2, last + 1), column.clone().into()).is_err(),
            "another place"
        );
        assert!(decode_all("u", (1, last), column.into()).is_err(), "another task");
        assert!(
            decode_snapshot("t", last - 1, snapshot.clone()).is_err(),
            "another place"
        );
        assert!(decode_snapshot("u", last, snapshot).is_err(), "another task");
    }
}

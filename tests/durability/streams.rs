//! The part of the checker that looks at streams: what they said, and whether each reader got all of it.

use std::collections::HashMap;

use super::check::{Calls, End, Report, Rule, Stored};
use super::history::{Binding, Call, Frame, Record, What};

/// What every stream on every binding said about an event is the same, and is what the log says.
pub(super) fn check_frames(history: &[Record], calls: &Calls<'_>, stored: &Stored<'_>, report: &mut Report) {
    let mut events: HashMap<(&str, u64, bool), &str> = HashMap::new();
    let mut bytes = HashMap::new();
    for record in history {
        let What::Frame(frame) = &record.what else {
            continue;
        };
        report.frames += 1;
        if !calls.calls.contains_key(&frame.op) {
            report.add(Rule::StreamsAgree, format!("{frame:?} belongs to no call"));
        }
        let place = (frame.task.as_str(), frame.generation, frame.snapshot);
        let is_grpc = record.binding == Binding::Grpc;
        let differs = *events.entry(place).or_insert(&frame.event) != frame.event
            || *bytes.entry((place, is_grpc)).or_insert(&frame.bytes) != &frame.bytes
            || (is_grpc && frame.bytes != frame.event);
        if differs {
            report.add(
                Rule::StreamsAgree,
                format!("{frame:?} differs from another stream's"),
            );
        }
        match stored.event(&frame.task, frame.generation) {
            None => report.add(Rule::AcknowledgedIsStored, format!("{frame:?} is not stored")),
            Some(event) if !frame.snapshot && event.hash != frame.event => {
                report.add(Rule::StreamsAgree, format!("{frame:?} differs from the log"));
            }
            Some(_) if frame.snapshot && stored.state_at(&frame.task, frame.generation) != frame.state => {
                report.add(
                    Rule::StreamsAgree,
                    format!("{frame:?} has another state than the log"),
                );
            }
            Some(_) => {}
        }
    }
}

/// Where a reader is.
#[derive(Default)]
struct Position<'a> {
    task: Option<&'a str>,
    generation: Option<u64>,
    ended: bool,
    /// Refused at its first call: there was nothing to read any more.
    refused: bool,
}

/// Each reader got one event after the other over all its connections, from where it began to the end.
pub(super) fn check_readers<'a>(
    history: &'a [Record],
    calls: &Calls<'a>,
    stored: &Stored<'_>,
    end: End,
    report: &mut Report,
) {
    let mut readers: HashMap<u64, Position<'a>> = HashMap::new();
    for record in history {
        match &record.what {
            What::Invoke { call, .. } => {
                let number = match call {
                    Call::Send { reader, .. } => *reader,
                    Call::Subscribe { reader, cursor, .. } => {
                        report.resumed += usize::from(cursor.is_some());
                        Some(*reader)
                    }
                    Call::Cancel { .. } => None,
                };
                if let Some(number) = number {
                    readers.entry(number).or_default();
                }
            }
            What::Frame(frame) => {
                let position = readers.entry(frame.reader).or_default();
                if let Some(why) = step(position, frame) {
                    report.add(Rule::CursorContinues, format!("{why}: {frame:?}"));
                }
            }
            What::Ended { reader, .. } => readers.entry(*reader).or_default().ended = true,
            What::Fail { op, .. } => {
                if let Some(Call::Subscribe { reader, .. }) = calls.calls.get(op) {
                    readers.entry(*reader).or_default().refused = true;
                }
            }
            What::Ok { .. } | What::Unknown { .. } | What::Aged { .. } => {}
        }
    }
    report.readers = readers.len();
    report.ended = readers.values().filter(|position| position.ended).count();
    for (number, position) in readers {
        let last = position
            .task
            .and_then(|task| stored.rows.get(task))
            .map(|row| row.generation);
        if position.ended && position.generation != last {
            let text = format!(
                "reader {number} ended at {:?}, its task at {last:?}",
                position.generation
            );
            report.add(Rule::CursorContinues, text);
        }
        if end == End::Quiet && !position.ended && !position.refused {
            report.add(
                Rule::CursorContinues,
                format!("reader {number} never came to an end"),
            );
        }
    }
}

/// Moves a reader by one frame; what is wrong with it, if anything.
fn step<'a>(position: &mut Position<'a>, frame: &'a Frame) -> Option<&'static str> {
    let before = position.generation.replace(frame.generation);
    let task = *position.task.get_or_insert(&frame.task);
    match before {
        _ if task != frame.task => Some("an event of another task"),
        _ if position.ended => Some("an event behind the end"),
        Some(before) if frame.generation != before + 1 => Some("not the next event"),
        Some(_) if frame.snapshot => Some("a snapshot in the middle"),
        None if frame.generation != 1 && !frame.snapshot => Some("the beginning is missing"),
        _ => None,
    }
}

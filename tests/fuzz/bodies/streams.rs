//! Server-sent events, read by a parser of their own.

use bytes::Bytes;
use serde_json::Value;

use super::requests::is_safe;
use super::world::{World, post};

/// The text comes back through the agent `echo` and the encoder whole, in events that are numbered densely.
pub fn sse(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let message = serde_json::json!({
        "message": { "messageId": "1", "role": "ROLE_USER", "parts": [{ "text": text }] }
    });
    let answer = World::with(|world| world.answer(post("/message:stream", Bytes::from(message.to_string()))));
    is_safe(&answer);
    if !answer.status.is_success() {
        assert_eq!(answer.status.as_u16(), 400, "{answer:?}");
        return;
    }
    let stream = std::str::from_utf8(&answer.body).expect("a stream is UTF-8");
    let (mut last, mut echoed) = (0, String::new());
    for event in events(stream) {
        assert_eq!(event.id, last + 1, "{stream}");
        last = event.id;
        let event: Value = serde_json::from_str(&event.data).expect("events are JSON");
        for part in event["artifactUpdate"]["artifact"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            echoed.push_str(part["text"].as_str().unwrap_or_default());
        }
    }
    assert!(echoed.contains(&*text), "{text:?} became {echoed:?}");
}

struct Event {
    id: u64,
    data: String,
}

/// As the standard has it: lines end with CR, LF or both, and an empty one ends an event.
fn events(stream: &str) -> Vec<Event> {
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    for block in stream.split("\n\n") {
        let (mut id, mut data) = (None, Vec::new());
        for line in block.lines().filter(|line| !line.starts_with(':')) {
            match line.split_once(": ") {
                Some(("id", value)) => id = value.parse().ok(),
                Some(("data", value)) => data.push(value),
                Some(("event" | "retry", _)) => {}
                _ => panic!("{line:?} is no field"),
            }
        }
        if let Some(id) = id {
            let data = data.join("\n");
            events.push(Event { id, data });
        }
    }
    events
}

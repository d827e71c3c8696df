//! Server-sent events as bytes: a total function over any data, one `data:` line per event.

use std::io::Write as _;

/// What keeps proxies from closing a quiet stream; a comment, which readers skip.
pub(super) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// The end of an event.
pub(super) const END: &[u8] = b"\n\n";

/// Tells a reader that the events behind its cursor are gone up to `first`; the task as it stands comes next. An event of
/// its own name, which readers of messages don't see, and without an id: until the task has come, the cursor that the
/// reader has is the one to come back with.
pub(super) fn cursor_expired(first: u64) -> Vec<u8> {
    format!("event: cursor-expired\ndata: {{\"firstGeneration\":{first}}}\n\n").into_bytes()
}

/// Writes the beginning of an event, up to its data. Generation 0 is that of a message that is in no log, so there is
/// nothing to resume behind.
pub(super) fn begin(out: &mut Vec<u8>, generation: u64) {
    if generation > 0 {
        // Writing into memory does not fail.
        let _ = writeln!(out, "id: {generation}");
    }
    out.extend_from_slice(b"data: ");
}

/// Writes JSON text as data. Compact JSON has no line breaks; should there ever be one, it is white space between
/// tokens, and a space is as good and does not break the event.
pub(super) fn data(out: &mut Vec<u8>, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json);
    for byte in &mut out[start..] {
        if is_break(*byte) {
            *byte = b' ';
        }
    }
}

/// True when [`data`] would write the text as it is.
pub(super) fn is_one_line(json: &[u8]) -> bool {
    !json.iter().copied().any(is_break)
}

fn is_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(generation: u64, text: &str) -> String {
        let mut out = Vec::new();
        begin(&mut out, generation);
        data(&mut out, text.as_bytes());
        out.extend_from_slice(END);
        String::from_utf8(out).unwrap()
    }

    /// A reader by the letter of the HTML standard, section 9.2.6: (id, data) of each event.
    fn parse(stream: &str) -> Vec<(String, String)> {
        let mut events = Vec::new();
        let (mut id, mut data) = (String::new(), Vec::new());
        for line in stream.replace("\r\n", "\n").split(['\n', '\r']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() && !data.is_empty() => {
                    events.push((id.clone(), std::mem::take(&mut data).join("\n")));
                }
                "data" => data.push(value.to_owned()),
                "id" => id = value.to_owned(),
                _ => {}
            }
        }
        events
    }

    #[test]
    fn an_event_is_its_id_and_one_line_of_data() {
        assert_eq!(encode(7, "{}"), "id: 7\ndata: {}\n\n");
        assert_eq!(encode(0, "{}"), "data: {}\n\n");
        assert_eq!(encode(1, "a\r\nb"), "id: 1\ndata: a  b\n\n");
        assert_eq!(parse(std::str::from_utf8(KEEP_ALIVE).unwrap()), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(texts in prop::collection::vec((1u64.., any::<String>()), 1..5)) {
            let mut stream = String::new();
            let mut expected = Vec::new();
            for (generation, text) in &texts {
                stream.push_str(&encode(*generation, text));
                stream.push_str(std::str::from_utf8(KEEP_ALIVE).unwrap());
                expected.push((generation.to_string(), text.replace(['\n', '\r'], " ")));
            }
            prop_assert_eq!(parse(&stream), expected);
        }

        #[test]
        fn json_survives_as_it_is(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(is_one_line(json.as_bytes()));
            prop_assert_eq!(parse(&encode(1, &json)), [("1".to_owned(), json)]);
        }
    }
}

//! Server-sent events out of bytes, however they are cut (HTML standard, section 9.2.6).

use bytes::{Buf as _, Bytes};

/// The longest id and the longest name that are kept; longer ones are none of ours.
const FIELD_BYTES_MAX: usize = 256;

/// What stands before the value of the longest field that counts, `event: `.
const NAME_BYTES: usize = 8;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its own id; the one before it is not passed on.
    pub(super) id: Option<String>,
    /// Its name; empty for a message.
    pub(super) name: String,
    /// Its data, the lines of it joined by line feeds.
    pub(super) data: Vec<u8>,
}

/// An event is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Reads events. Keeps no more than one unfinished event, within its limit.
#[derive(Debug)]
pub(super) struct Decoder {
    bytes_max: usize,
    event: SseEvent,
    has_data: bool,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The line is a comment: it has no end that anybody waits for.
    is_comment: bool,
    /// A line feed that comes next belongs to the line break before it.
    after_return: bool,
    /// No line has been read yet, so that a byte order mark may stand before it.
    is_first: bool,
}

impl Decoder {
    /// Reads events of at most `bytes_max` bytes, all their lines together.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max: bytes_max.saturating_add(NAME_BYTES),
            event: SseEvent::default(),
            has_data: false,
            line: Vec::new(),
            is_comment: false,
            after_return: false,
            is_first: true,
        }
    }

    /// Takes bytes from `input` up to the end of an event; `None` when it needs more.
    ///
    /// # Errors
    /// [`TooLarge`]; the decoder can't go on behind it.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> Result<Option<SseEvent>, TooLarge> {
        while !input.is_empty() {
            if std::mem::take(&mut self.after_return) && input[0] == b'\n' {
                input.advance(1);
                continue;
            }
            let end = input.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.extend(&input[..end.unwrap_or(input.len())])?;
            let Some(end) = end else {
                input.clear();
                break;
            };
            self.after_return = input[end] == b'\r';
            input.advance(end + 1);
            if let Some(event) = self.end_line() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Whether what was read ends between two events.
    pub(super) fn is_between(&self) -> bool {
        !self.has_data && self.line.is_empty()
    }

    /// Adds to the line.
    fn extend(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        if self.line.is_empty() && part.first() == Some(&b':') {
            self.is_comment = true;
        }
        if self.is_comment {
            return Ok(());
        }
        if self.line.len() + self.event.data.len() + part.len() > self.bytes_max {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Does what the line says.
    fn end_line(&mut self) -> Option<SseEvent> {
        if std::mem::take(&mut self.is_comment) {
            self.line.clear();
            self.is_first = false;
            return None;
        }
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_first) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            self.line = line;
            return self.end_event();
        }
        self.field(&line);
        // The room is used again, but not that of one large line for the small ones behind it.
        line.clear();
        if line.capacity() <= 4 * FIELD_BYTES_MAX {
            self.line = line;
        }
        None
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"id" if !value.contains(&0) => self.event.id = short(value),
            b"event" => self.event.name = short(value).unwrap_or_default(),
            _ => {}
        }
    }

    /// An event without data, or with one empty line of it, is none, whatever else it has.
    fn end_event(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        self.has_data = false;
        (!event.data.is_empty()).then_some(event)
    }
}

fn short(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (text.len() <= FIELD_BYTES_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All events of a stream that comes in these pieces; whether it ends between two of them.
    fn decode(pieces: &[&[u8]], bytes_max: usize) -> Result<(Vec<SseEvent>, bool), TooLarge> {
        let mut decoder = Decoder::new(bytes_max);
        let mut events = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(event) = decoder.decode(&mut input)? {
                events.push(event);
            }
            assert!(input.is_empty());
        }
        Ok((events, decoder.is_between()))
    }

    fn event(id: Option<&str>, name: &str, data: &str) -> SseEvent {
        SseEvent {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_grammar_of_the_standard() {
        for (text, events) in [
            ("", vec![]),
            ("data: a\n\n", vec![event(None, "", "a")]),
            ("\u{feff}data: a\n\n", vec![event(None, "", "a")]),
            ("\u{feff}: a\n\ndata:b\n\n", vec![event(None, "", "b")]),
            (
                "data: a\r\rdata:b\r\n\r\ndata\ndata:  c\n\n",
                vec![
                    event(None, "", "a"),
                    event(None, "", "b"),
                    event(None, "", "\n c"),
                ],
            ),
            (
                "id: 7\nevent: e\ndata: {\ndata: }\n\ndata: x\n\n",
                vec![event(Some("7"), "e", "{\n}"), event(None, "", "x")],
            ),
            (": c\n: data: c\nretry: 5\nunknown: x\nid\n\n", vec![]),
            ("event: gone\n\ndata: a\n\n", vec![event(None, "", "a")]),
            ("data:\n\n", vec![]),
            ("id: a\u{0}b\ndata: a\n\n", vec![event(None, "", "a")]),
            ("data: cut", vec![]),
        ] {
            let (found, is_between) = decode(&[text.as_bytes()], 100).unwrap();
            assert_eq!(found, events, "{text:?}");
            assert_eq!(is_between, !text.ends_with("cut"), "{text:?}");
        }
    }

    #[test]
    fn an_event_has_its_limit_and_comments_need_no_room() {
        let fits = format!("data: {}\n\n", "x".repeat(100));
        assert_eq!(decode(&[fits.as_bytes()], 100).unwrap().0.len(), 1);
        for endless in ["data: xx", "x", "data:\n", "id: 1\ndata: 1\n", "event: xxxxxx"] {
            let piece = endless.repeat(200);
            assert_eq!(decode(&[piece.as_bytes(); 4], 100), Err(TooLarge), "{endless}");
        }
        let mut decoder = Decoder::new(100);
        for _ in 0..10_000 {
            for piece in [":", " a comment that has no end, and one that has\n: ", "id: 1\n"] {
                let mut input = Bytes::from_static(piece.as_bytes());
                assert_eq!(decoder.decode(&mut input), Ok(None));
            }
        }
        assert!(decoder.line.capacity() + decoder.event.data.capacity() <= 4 * FIELD_BYTES_MAX);
    }

    /// A line break of any of the three kinds.
    fn line_break() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["\n", "\r\n", "\r"])
    }

    /// Events as text, with comments between their lines.
    fn written() -> impl Strategy<Value = (String, Vec<SseEvent>)> {
        let line = "[^\r\n]{1,20}";
        let one = (
            prop::option::of(0..u64::MAX),
            "[a-z]{0,8}",
            prop::collection::vec(line, 1..4),
            prop::option::of(line),
            line_break(),
        );
        prop::collection::vec(one, 0..6).prop_map(|all| {
            let (mut text, mut events) = (String::new(), Vec::new());
            for (id, name, lines, comment, end) in all {
                // A line feed behind a return of the event before would be taken for the same break.
                text.push_str(":\n");
                let mut field = |name: &str, value: &str| text.push_str(&format!("{name}: {value}{end}"));
                if let Some(id) = id {
                    field("id", &id.to_string());
                }
                field("event", &name);
                if let Some(comment) = comment {
                    field("", &comment);
                }
                for line in &lines {
                    field("data", line);
                }
                text.push_str(end);
                events.push(SseEvent {
                    id: id.map(|id| id.to_string()),
                    name,
                    data: lines.join("\n").into_bytes(),
                });
            }
            (text, events)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            (text, events) in written(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&pieces, 1_000), Ok((events, true)));
        }

        #[test]
        fn any_bytes_are_read_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            for piece in [1, 7, 500] {
                let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
                if let Ok((events, _)) = decode(&pieces, 64) {
                    prop_assert!(events.iter().all(|event| event.data.len() <= 64 + NAME_BYTES));
                }
            }
        }
    }
}

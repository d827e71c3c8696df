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

//! One line of JSON, field by field: whoever writes so many records has no time to make a struct of each first.

use std::fmt::{Display, Write as _};

use serde::Serialize;
use serde_json::Value;

/// The most characters of any text in a record. What callers choose is no way to fill the disk.
const TEXT_MAX: usize = 2_048;

/// An object at the end of a text. Its fields are those that [`Record`](super::Record) reads.
pub(super) struct Line<'a>(&'a mut String);

impl<'a> Line<'a> {
    /// Begins with the one field that is there in any case.
    pub(super) fn begin(out: &'a mut String, name: &str, value: &str) -> Self {
        out.push_str("{\"");
        out.push_str(name);
        out.push_str("\":\"");
        escape(out, value);
        out.push('"');
        Self(out)
    }

    pub(super) fn end(self) {
        self.0.push('}');
    }

    /// A text; an empty one is none.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.shown(name, |out| escape(out, cut(value)));
        }
    }

    /// A text with a fixed word in front of it; an empty one is none.
    pub(super) fn prefixed(&mut self, name: &str, prefix: &'static str, value: &str) {
        if !value.is_empty() {
            self.shown(name, |out| {
                out.push_str(prefix);
                escape(out, cut(value));
            });
        }
    }

    /// Something whose text has nothing to escape, if there is something.
    pub(super) fn plain(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.shown(name, |out| {
                // A text takes whatever is written to it.
                let _ = write!(out, "{value}");
            });
        }
    }

    /// A number, if there is one.
    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.name(name);
            let _ = write!(self.0, "{value}");
        }
    }

    /// A struct of texts and numbers, nothing of which can fail to be written, if there is one.
    pub(super) fn object(&mut self, name: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value.and_then(|value| serde_json::to_string(value).ok()) {
            self.name(name);
            self.0.push_str(&value);
        }
    }

    /// A list of objects, each of which `write` appends; without any of them there is no list.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut String, T),
    ) {
        let mut is_empty = true;
        for item in items {
            if is_empty {
                self.name(name);
            }
            self.0.push(if is_empty { '[' } else { ',' });
            is_empty = false;
            write(self.0, item);
        }
        if !is_empty {
            self.0.push(']');
        }
    }

    fn shown(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.name(name);
        self.0.push('"');
        write(self.0);
        self.0.push('"');
    }

    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

/// Appends what stands between the quotes. Nearly every text is as it is; the others are left to the library.
fn escape(out: &mut String, text: &str) {
    // To the end in any case: so many bytes are looked at in one step.
    let is_plain = |byte: u8| (byte >= 0x20) & (byte != b'"') & (byte != b'\\');
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push_str(text);
    } else {
        let quoted = Value::from(text).to_string();
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
    }
}

/// A text as a record may hold it.
fn cut(text: &str) -> &str {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let end = text.char_indices().nth(TEXT_MAX).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("a"), "a");
        let long = "é".repeat(TEXT_MAX + 1);
        assert_eq!(cut(&long).chars().count(), TEXT_MAX);
    }

    #[test]
    fn a_line_is_read_as_it_was_meant() {
        let odd: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        for text in ["plain", "\"", "\\", "a\nb", "🦀", &odd] {
            let mut out = String::new();
            let mut line = Line::begin(&mut out, "chain", text);
            line.text("text", text);
            line.text("none", "");
            line.prefixed("name", "agent:", text);
            line.prefixed("none", "agent:", "");
            line.plain("shown", Some(7));
            line.plain("none", None::<u8>);
            line.number("number", Some(u64::MAX));
            line.number("none", None);
            line.object("object", Some(&[text]));
            line.object("none", None::<&u8>);
            line.list("list", [text, text].into_iter(), |out, text| {
                Line::begin(out, "item", text).end();
            });
            line.list("none", [].into_iter(), |_, _: u8| {});
            line.end();
            let read: Value = serde_json::from_str(&out).unwrap();
            let expected = serde_json::json!({
                "chain": text, "text": text, "name": format!("agent:{text}"), "shown": "7", "number": u64::MAX,
                "object": [text], "list": [{"item": text}, {"item": text}],
            });
            assert_eq!(read, expected);
            assert!(!out.contains('\n'), "one line");
        }
    }
}

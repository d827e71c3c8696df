//! Bodies as text: so much of them as is shown, without secrets.

use std::ops::Range;

use crate::cli::agent::secrets::{Secrets, speaks_of_secret, without};

/// The most bytes of one message, or of one line of a stream, that are shown.
pub const BYTES_MAX: usize = 16 << 10;

/// A text that comes in pieces, and is kept as far as it is shown.
#[derive(Debug, Default)]
pub struct Text {
    kept: Vec<u8>,
    left_out: usize,
}

impl Text {
    /// One more piece. Kept is as much more than is shown as a secret at the end of it may be long.
    pub fn push(&mut self, piece: &[u8], secrets: &Secrets) {
        let room = (BYTES_MAX + secrets.longest()).saturating_sub(self.kept.len());
        let fitting = piece.len().min(room);
        self.kept.extend_from_slice(&piece[..fitting]);
        self.left_out += piece.len() - fitting;
    }

    /// Takes it for showing; `None` if nothing has come.
    pub fn take(&mut self, secrets: &Secrets) -> Option<String> {
        let Self { kept, left_out } = std::mem::take(self);
        (!kept.is_empty()).then(|| shown(&legible(&kept), left_out, secrets))
    }
}

/// A text without secrets, and no more of it than is shown; `left_out` bytes are missing at its end already.
pub fn shown(text: &str, left_out: usize, secrets: &Secrets) -> String {
    let known = text.floor_char_boundary(BYTES_MAX + secrets.longest());
    let (text, left_out) = (&text[..known], left_out + text.len() - known);
    let mut places = secret_members(text);
    places.extend(secrets.places(text));
    if left_out == 0 && text.len() <= BYTES_MAX {
        return without(text, places);
    }
    let mut end = BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let left_out = left_out + text.len() - end;
    // A secret that the end falls into is hidden whole: it is longer than what is seen of it here.
    let visible = places.into_iter().filter(|place| place.start < end);
    let visible = visible.map(|place| place.start..place.end.min(end)).collect();
    format!("{} … {left_out} bytes more", without(&text[..end], visible))
}

/// Bytes that are no text stand there by their numbers.
fn legible(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// Where the texts stand of members whose names speak of a secret. It is read as JSON as far as it looks like it, so that
/// all else stays as it was sent, and a text that is cut off is no less read.
fn secret_members(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut places, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] != b'"' {
            at += 1;
            continue;
        }
        let name = string(bytes, at);
        at = name.end + 1;
        let colon = blank(bytes, at);
        if bytes.get(colon) != Some(&b':') {
            continue;
        }
        let value = blank(bytes, colon + 1);
        if bytes.get(value) == Some(&b'"') && speaks_of_secret(&text[name]) {
            let value = string(bytes, value);
            at = value.end + 1;
            places.push(value);
        }
    }
    places
}

/// What stands in the string that begins here, up to its closing quote or to where the text is cut off.
fn string(bytes: &[u8], quote: usize) -> Range<usize> {
    let mut end = quote + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    quote + 1..end.min(bytes.len())
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pieces: &[&[u8]], secrets: &Secrets) -> String {
        let mut text = Text::default();
        pieces.iter().for_each(|piece| text.push(piece, secrets));
        text.take(secrets).unwrap()
    }

    #[test]
    fn members_that_speak_of_secrets_are_hidden_at_every_depth_and_the_rest_stays() {
        for (text, seen) in [
            (r#"{ "token" : "a\"b", "x":1 }"#, r#"{ "token" : "***", "x":1 }"#),
            (r#"{"pageToken":"a"}"#, r#"{"pageToken":"a"}"#),
            (
                r#"[{"Authorization":"a","text":"b"}]"#,
                r#"[{"Authorization":"***","text":"b"}]"#,
            ),
            (
                r#"{"authentication":{"scheme":"s","credentials":"c"},"secrets":{"a":"b"}}"#,
                r#"{"authentication":{"scheme":"s","credentials":"***"},"secrets":{"a":"b"}}"#,
            ),
            (r#"data: {"a":"token","b":"x"}"#, r#"data: {"a":"token","b":"x"}"#),
            (r#"{"token":"cut of"#, r#"{"token":"***"#),
            (r#"{"token":"cut \"#, r#"{"token":"***"#),
            (r#"{"token":null,"é":"\u00e9"}"#, r#"{"token":null,"é":"\u00e9"}"#),
        ] {
            assert_eq!(taken(&[text.as_bytes()], &Secrets::default()), seen);
        }
    }

    #[test]
    fn a_secret_in_two_pieces_is_hidden_and_bytes_that_are_no_text_are_told() {
        let secrets = Secrets::default();
        secrets.learn("s3cret-of-mine");
        let pieces = [&b"a s3cret-"[..], b"of-mine \xff\x00", "é".as_bytes()];
        assert_eq!(taken(&pieces, &secrets), "a *** \\xff\0é");
        assert!(Text::default().take(&secrets).is_none());
    }

    #[test]
    fn what_is_left_out_is_told_where_nothing_is_secret_too() {
        let text = "-".repeat(BYTES_MAX + 7);
        let seen = taken(&[text.as_bytes(), b"+"], &Secrets::default());
        assert_eq!(seen.strip_prefix(&text[..BYTES_MAX]), Some(" … 8 bytes more"));
        assert_eq!(taken(&[&text.as_bytes()[7..]], &Secrets::default()), text[7..]);
    }

    #[test]
    fn no_more_is_kept_than_is_shown_and_no_part_of_a_secret_at_the_end() {
        let secrets = Secrets::default();
        let secret = "s3cret".repeat(50);
        secrets.learn(&secret);
        for before in BYTES_MAX - 400..BYTES_MAX + 10 {
            let text = format!("{}{secret}{}", "-".repeat(before), "+".repeat(40 << 10));
            let mut kept = Text::default();
            text.as_bytes()
                .chunks(1_000)
                .for_each(|piece| kept.push(piece, &secrets));
            assert!(kept.kept.len() <= BYTES_MAX + 6 * secret.len());
            let seen = kept.take(&secrets).unwrap();
            assert!(!seen.contains("s3"), "{before}");
            assert!(
                seen.ends_with(&format!(" … {} bytes more", text.len() - BYTES_MAX)),
                "{before}"
            );
        }
    }
}

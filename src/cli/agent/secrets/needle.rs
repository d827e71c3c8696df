//! One form of a secret, and finding it in one pass: whole, and what is left of it where a text was cut off.

use std::ops::Range;

use a2ad::config::Secret;

use super::LETTERS_MIN;
use super::view::{View, is_quote};

/// What is searched (by Knuth, Morris and Pratt: each byte is looked at once, however often the beginning occurs).
#[derive(Debug)]
pub struct Needle {
    bytes: Secret<Vec<u8>>,
    /// Of each beginning, the length of the longest shorter one that it ends with.
    shorter: Vec<usize>,
    /// The bytes of a beginning that tells something.
    telling: usize,
}

impl Needle {
    /// So many bytes at its start are `open`. There is one byte at least.
    pub fn new(bytes: Vec<u8>, open: usize) -> Self {
        let mut shorter = vec![0; bytes.len()];
        let mut length = 0;
        for at in 1..bytes.len() {
            while length > 0 && bytes[at] != bytes[length] {
                length = shorter[length - 1];
            }
            if bytes[at] == bytes[length] {
                length += 1;
            }
            shorter[at] = length;
        }
        Self {
            bytes: Secret::new(bytes),
            shorter,
            telling: open + LETTERS_MIN,
        }
    }

    /// Adds where it stands in the text: all of it, or its beginning at the end of a quoted piece, and of the text if
    /// that `is_end`.
    pub fn find(&self, view: &View, is_end: bool, found: &mut Vec<Range<usize>>) {
        let needle = self.bytes.expose();
        let mut length = 0;
        for (at, byte) in view.bytes().iter().enumerate() {
            if is_closing(*byte) && length >= self.telling {
                found.push(view.start(at - length)..view.start(at));
            }
            while length > 0 && needle[length] != *byte {
                length = self.shorter[length - 1];
            }
            if needle[length] == *byte {
                length += 1;
            }
            if length == needle.len() {
                found.push(view.start(at + 1 - length)..view.end(at));
                length = self.shorter[length - 1];
            }
        }
        let end = view.bytes().len();
        if is_end && length >= self.telling {
            found.push(view.start(end - length)..view.start(end));
        }
    }
}

/// Whether a piece of text may end before it: by a quote, or where this program puts texts of an agent together.
fn is_closing(byte: u8) -> bool {
    is_quote(byte) || matches!(byte, b';' | b':')
}

//! Text without the escapes in it, and where in the text each byte of that stands.
//!
//! Nobody can list all the ways in which a text may be escaped: any letter of it may be, in JSON in several ways, in a URL
//! with capitals or without. So what is searched is unescaped instead, once and again: an answer may quote an answer.

use std::ops::Range;

/// How often escapes are taken off: JSON in JSON in a URL.
const DEPTH: usize = 3;

/// A form of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    bytes: Vec<u8>,
    /// The place in the text of each byte.
    places: Vec<Range<usize>>,
    /// Bytes of the text.
    length: usize,
}

impl View {
    fn of(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            places: (0..text.len()).map(|at| at..at + 1).collect(),
            length: text.len(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place in the text where the byte begins; of the end of the view the end of the text, as half an escape may stand
    /// there.
    pub fn start(&self, at: usize) -> usize {
        self.places.get(at).map_or(self.length, |place| place.start)
    }

    /// The place in the text behind the byte.
    pub fn end(&self, at: usize) -> usize {
        self.places.get(at).map_or(self.length, |place| place.end)
    }

    /// The same without escapes of a kind; `None` if it has none.
    fn without(&self, escape: Escape) -> Option<Self> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut places = Vec::with_capacity(self.bytes.len());
        let (mut at, mut has_any) = (0, false);
        while let Some(byte) = self.bytes.get(at) {
            let found = escape(&self.bytes[at..]);
            has_any |= found.is_some();
            let (length, meant) = found.unwrap_or((1, Meant::of(&[*byte])));
            for byte in meant.bytes() {
                bytes.push(*byte);
                places.push(self.start(at)..self.end(at + length - 1));
            }
            at += length;
        }
        let length = self.length;
        has_any.then_some(Self {
            bytes,
            places,
            length,
        })
    }
}

/// All forms of a text that differ.
pub fn views(text: &str) -> Vec<View> {
    let mut all = vec![View::of(text)];
    let mut newest = 0..1;
    for _ in 0..DEPTH {
        for at in newest.clone() {
            for escape in ESCAPES {
                let found = all[at].without(escape);
                all.extend(found.filter(|found| !all.iter().any(|one| one.bytes == found.bytes)));
            }
        }
        newest = newest.end..all.len();
    }
    all
}

/// The forms of a secret: it may look like an escape itself.
pub fn forms(secret: &str) -> Vec<Vec<u8>> {
    let whole = View::of(secret);
    let others = ESCAPES.into_iter().filter_map(|escape| whole.without(escape));
    let others = others.map(|view| view.bytes).collect::<Vec<_>>();
    std::iter::once(whole.bytes.clone()).chain(others).collect()
}

/// The length of the escape that a text begins with, and what it means.
type Escape = fn(&[u8]) -> Option<(usize, Meant)>;

const ESCAPES: [Escape; 2] = [json, percent];

/// Up to four bytes. None of an escape that is cut off.
#[derive(Clone, Copy, Debug, Default)]
struct Meant {
    bytes: [u8; 4],
    length: usize,
}

impl Meant {
    fn of(bytes: &[u8]) -> Self {
        let mut meant = Self::default();
        for (place, byte) in meant.bytes.iter_mut().zip(bytes) {
            *place = *byte;
            meant.length += 1;
        }
        meant
    }

    fn letter(letter: char) -> Self {
        Self::of(letter.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Whether a quoted piece of text ends with it.
pub fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// An escape of JSON (RFC 8259 section 7), of either half of a pair too.
fn json(text: &[u8]) -> Option<(usize, Meant)> {
    if text.first() != Some(&b'\\') {
        return None;
    }
    let simple = |byte: u8| Some((2, Meant::of(&[byte])));
    match text.get(1) {
        None => Some((1, Meant::default())),
        Some(byte @ (b'"' | b'\\' | b'/' | b'\'')) => simple(*byte),
        Some(b'b') => simple(8),
        Some(b'f') => simple(12),
        Some(b'n') => simple(b'\n'),
        Some(b'r') => simple(b'\r'),
        Some(b't') => simple(b'\t'),
        Some(b'u') => match hex(&text[2..], 4) {
            Hex::Number(first) => letter(first, &text[6..]),
            Hex::CutOff(digits) => Some((2 + digits, Meant::default())),
            Hex::None => None,
        },
        Some(_) => None,
    }
}

/// The letter that a number of 16 bits means, with what follows it if that is the other half.
fn letter(first: u32, rest: &[u8]) -> Option<(usize, Meant)> {
    if let Some(letter) = char::from_u32(first) {
        return Some((6, Meant::letter(letter)));
    }
    let second = match hex(rest.strip_prefix(b"\\u")?, 4) {
        Hex::Number(second @ 0xDC00..0xE000) if first < 0xDC00 => second,
        _ => return None,
    };
    let both = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Some((12, Meant::letter(char::from_u32(both)?)))
}

/// An escape of a URL (RFC 3986 section 2.1), and the plus that stands for a blank in forms. Both are a blank here, so that
/// a plus is found in either meaning.
fn percent(text: &[u8]) -> Option<(usize, Meant)> {
    match text.first()? {
        b'+' => Some((1, Meant::of(b" "))),
        b'%' => match hex(&text[1..], 2) {
            Hex::Number(number) => {
                let byte = u8::try_from(number).ok()?;
                Some((3, Meant::of(&[if byte == b'+' { b' ' } else { byte }])))
            }
            Hex::CutOff(digits) => Some((1 + digits, Meant::default())),
            Hex::None => None,
        },
        _ => None,
    }
}

enum Hex {
    Number(u32),
    /// So many digits, and then the text or a quoted piece of it ends.
    CutOff(usize),
    None,
}

/// A number of so many digits.
fn hex(text: &[u8], digits: usize) -> Hex {
    let mut number = 0_u32;
    for at in 0..digits {
        let byte = text.get(at).copied().filter(|byte| !is_quote(*byte));
        let Some(byte) = byte else {
            return Hex::CutOff(at);
        };
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Hex::None;
        };
        number = number * 16 + digit;
    }
    Hex::Number(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let views = views(text).into_iter();
        views.map(|view| String::from_utf8(view.bytes).unwrap()).collect()
    }

    #[test]
    fn a_text_has_a_form_without_each_kind_of_escape() {
        for (text, expected) in [
            ("plain \\x %zz", &["plain \\x %zz"][..]),
            (r"a\/\u002B\u00e9\ud83d\ude00", &["a/+é😀", "a/ é😀"]),
            ("a%2fb%2Fc", &["a/b/c"]),
            ("a%255Cn", &["a%5Cn", "a\\n", "a\n"]),
            (r#"\\\"\\u0041"#, &["\\\"\\u0041", "\"A"]),
            // Half a pair means nothing, and half an escape at the end neither.
            (r"\ud83d-", &[r"\ud83d-"]),
            (r"abc\u00", &["abc"]),
            ("abc%2", &["abc"]),
            ("abc%\"d", &["abc\"d"]),
        ] {
            let found = all(text);
            for form in expected {
                assert!(found.iter().any(|one| one == form), "{text}: {form} {found:?}");
            }
            assert!(found.len() <= 15, "{}", found.len());
        }
    }

    #[test]
    fn each_byte_is_known_where_it_stands() {
        let view = View::of("é%41\\n")
            .without(percent)
            .unwrap()
            .without(json)
            .unwrap();
        assert_eq!(view.bytes, "éA\n".as_bytes());
        let places: Vec<_> = (0..4).map(|at| (view.start(at), view.end(at))).collect();
        assert_eq!(places, [(0, 1), (1, 2), (2, 5), (5, 7)]);
        assert_eq!((view.start(4), view.end(4)), (7, 7));
    }
}

//! The secrets in a header: its value, and the credentials in it without what stands before them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

use super::{LETTERS_MIN, speaks_of_secret};

/// A text that is a secret but for its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// So many bytes at its start are none: the name of a scheme or of a cookie.
    pub open: usize,
}

/// What is secret in this header. What is taken out of a value is no secret if it is short: it would occur everywhere.
pub fn in_header(name: &HeaderName, value: &HeaderValue) -> Vec<Piece> {
    let text = value.to_str().unwrap_or_default();
    let is_secret = speaks_of_secret(name.as_str());
    let least = if is_secret { 1 } else { LETTERS_MIN };
    let mut found = Vec::new();
    let mut take = |text: &str, open: usize, least: usize| {
        if text.len() >= least {
            let text = text.to_owned();
            found.push(Piece { text, open });
        }
    };
    if name.as_str().ends_with("cookie") {
        take(text, text.find('=').map_or(0, |end| end + 1), least);
        for pair in text.split(';').map(str::trim) {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            take(pair, pair.len() - value.len(), LETTERS_MIN);
            take(value, 0, LETTERS_MIN);
        }
        return found;
    }
    let (first, rest) = text.split_once(' ').unwrap_or_default();
    let is_basic = first.eq_ignore_ascii_case("basic");
    let is_scheme =
        is_basic || first.eq_ignore_ascii_case("bearer") || name.as_str().ends_with("authorization");
    let open = match is_scheme && !first.is_empty() {
        true => first.len() + 1,
        false => 0,
    };
    take(text, open, least);
    if is_secret || is_scheme {
        take(rest, 0, LETTERS_MIN);
    }
    let decoded = is_basic.then(|| STANDARD.decode(rest).ok()).flatten();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((_, password)) = decoded.as_ref().and_then(|text| text.split_once(':')) {
        take(password, 0, LETTERS_MIN);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &str) -> Vec<(String, usize)> {
        let value = HeaderValue::try_from(value).unwrap();
        let found = in_header(&HeaderName::from_static(name), &value).into_iter();
        found.map(|piece| (piece.text, piece.open)).collect()
    }

    fn pieces(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
        let all = expected.iter();
        all.map(|(text, open)| ((*text).to_owned(), *open)).collect()
    }

    #[test]
    fn what_headers_show_is_known_in_its_parts() {
        let basic = STANDARD.encode("me:pass:word");
        let whole = format!("Basic {basic}");
        for (name, value, expected) in [
            (
                "authorization",
                "Bearer abcdef",
                &[("Bearer abcdef", 7), ("abcdef", 0)][..],
            ),
            (
                "authorization",
                &whole,
                &[(&*whole, 6), (&*basic, 0), ("pass:word", 0)],
            ),
            (
                "cookie",
                "key=secret-1; s=secret=2; t=1",
                &[
                    ("key=secret-1; s=secret=2; t=1", 4),
                    ("key=secret-1", 4),
                    ("secret-1", 0),
                    ("s=secret=2", 2),
                    ("secret=2", 0),
                ],
            ),
            // What is short and called nothing of the kind may be anything.
            ("x-tier", "gold", &[]),
            ("x-tenant", "secret-1", &[("secret-1", 0)]),
        ] {
            assert_eq!(header(name, value), pieces(expected), "{name}: {value}");
        }
    }

    /// An equals sign is padding as often as not, and what is left of a value may be a single letter.
    #[test]
    fn nothing_short_is_taken_out_of_a_value() {
        for (name, value) in [
            ("x-api-key", "dGVzdC1rZXktMTIzNA=="),
            ("authorization", "Bearer t"),
            ("x-api-key", "key of 5"),
            ("cookie", "k=1"),
        ] {
            let found = header(name, value);
            assert!(found.iter().all(|(text, _)| text == value), "{name}: {found:?}");
            assert!(!found.is_empty(), "{name}");
        }
    }
}

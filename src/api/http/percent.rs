//! Percent-encoding, undone exactly once and strictly: half an escape or bytes that are not UTF-8 are an error, so
//! that nobody further down sees another path than a proxy in front of us did.

use std::borrow::Cow;

use crate::error::Error;

/// One path segment.
///
/// # Errors
/// InvalidParams when the text is not well-formed.
pub(super) fn segment(text: &str) -> Result<Cow<'_, str>, Error> {
    decode(text, false).ok_or_else(|| Error::invalid("path", "the path is not percent-encoded UTF-8"))
}

/// The pairs of a query, `+` being a space in them.
///
/// # Errors
/// InvalidParams when a name or a value is not well-formed.
pub(super) fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((
            decode(name, true)?.into_owned(),
            decode(value, true)?.into_owned(),
        ))
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| Error::invalid("query", "the query is not percent-encoded UTF-8"))
}

fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text
        .bytes()
        .any(|byte| byte == b'%' || (plus_is_space && byte == b'+'))
    {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_strictly() {
        for (text, decoded) in [
            ("abc", Some("abc")),
            ("a%2Fb", Some("a/b")),
            ("a%252Fb", Some("a%2Fb")),
            ("%C3%a4", Some("ä")),
            ("a+b", Some("a+b")),
            ("%00", Some("\0")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(segment(text).ok().as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn a_query_is_pairs() {
        let pairs = |query| query_pairs(query).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), []);
        assert_eq!(
            pairs("a=1&&b&c=x%3D+y=z&a="),
            [pair("a", "1"), pair("b", ""), pair("c", "x= y=z"), pair("a", "")]
        );
        assert!(query_pairs("a=%ff").is_err());
        assert!(query_pairs("%=1").is_err());
    }
}

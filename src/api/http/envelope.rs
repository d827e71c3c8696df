//! The JSON-RPC 2.0 envelope: taken apart without touching what is inside, put together without rendering it again.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::{Error, Kind};

/// What stands for the id when a request has none that could be read.
pub(super) const NO_ID: &str = "null";

/// The end of a response that [`begin_result`] began.
pub(super) const END: &[u8] = b"}";

/// An id comes back with every event of a stream, so it has a limit.
const ID_BYTES_MAX: usize = 1_024;

/// One request or many.
#[derive(Debug)]
pub(super) enum Root<'a> {
    One(&'a [u8]),
    /// The entries of a batch, as far as the limit goes, and how many there are.
    Many(Vec<&'a RawValue>, usize),
}

/// A request whose envelope is in order.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The id as the caller wrote it; none in a notification.
    pub(super) id: Option<&'a str>,
    pub(super) method: Cow<'a, str>,
    /// The parameters, an object.
    pub(super) params: Option<&'a str>,
}

/// A request whose envelope is not, with the id to answer under.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) id: &'a str,
    /// Boxed: most requests are not refused.
    pub(super) error: Box<Error>,
}

/// Writes the beginning of a successful response; the result and [`END`] follow.
pub(super) fn begin_result(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
}

/// Tells a batch from a single request; of a batch at most `entries_max` are kept.
///
/// # Errors
/// ParseError when a batch is not JSON.
pub(super) fn root(text: &[u8], entries_max: usize) -> Result<Root<'_>, Error> {
    if first_byte(text) != Some(b'[') {
        return Ok(Root::One(text));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let batch = Entries(entries_max)
        .deserialize(&mut json)
        .and_then(|batch| json.end().map(|()| batch));
    batch.map_err(|error| malformed(&error))
}

/// Reads the envelope of one request.
///
/// # Errors
/// ParseError when the text is not JSON, InvalidRequest when it is no request, InvalidParams when the parameters are
/// no object.
pub(super) fn read(text: &[u8]) -> Result<Request<'_>, Refused<'_>> {
    let refuse = |id, error| Refused {
        id,
        error: Box::new(error),
    };
    let members = members(text).map_err(|error| refuse(NO_ID, error))?;
    let id = match members.id.map(RawValue::get) {
        Some(id) if !is_id(id) => {
            let error = invalid("id is a string, a number or null, and at most 1024 bytes long");
            return Err(refuse(NO_ID, error));
        }
        id => id,
    };
    let reply_id = id.unwrap_or(NO_ID);
    if members.jsonrpc.and_then(string).as_deref() != Some("2.0") {
        return Err(refuse(reply_id, invalid("jsonrpc must be \"2.0\"")));
    }
    let Some(method) = members.method.and_then(string) else {
        return Err(refuse(reply_id, invalid("method must be there, and a string")));
    };
    let params = members.params.map(RawValue::get);
    if params.is_some_and(|params| !params.starts_with('{')) {
        return Err(refuse(
            reply_id,
            Error::invalid("params", "the parameters of every method are an object"),
        ));
    }
    Ok(Request { id, method, params })
}

fn members(text: &[u8]) -> Result<Members<'_>, Error> {
    if first_byte(text) != Some(b'{') {
        // Not an object: whether it is JSON at all decides which error it is.
        return match serde_json::from_slice::<IgnoredAny>(text) {
            Ok(_) => Err(invalid("a request is an object")),
            Err(error) => Err(malformed(&error)),
        };
    }
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Data => invalid("a member of the request is there more than once"),
        _ => malformed(&error),
    })
}

/// The members of a request, each present or not: `null` is something else than absent.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// An id is echoed as it was written, so that a number of any size or precision stays what it was.
fn is_id(json: &str) -> bool {
    let starts_well = json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    json.len() <= ID_BYTES_MAX && (starts_well || json == NO_ID)
}

/// The value of a JSON string.
fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    let inner = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn first_byte(text: &[u8]) -> Option<u8> {
    text.iter().copied().find(|byte| !b" \t\r\n".contains(byte))
}

fn invalid(why: &'static str) -> Error {
    Error::new(
        Kind::InvalidRequest,
        format!("this is not a JSON-RPC 2.0 request: {why}"),
    )
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(Kind::ParseError, format!("the body is not JSON: {error}"))
}

/// Reads the entries of an array, and beyond a limit only counts them.
struct Entries(usize);

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Root<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Root<'de>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Root<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Root<'de>, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < self.0 {
            match array.next_element()? {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        let mut count = entries.len();
        while array.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Root::Many(entries, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (String, i32) {
        let refused = read(text.as_bytes()).unwrap_err();
        (refused.id.to_owned(), refused.error.json_rpc_code())
    }

    #[test]
    fn ids_are_kept_as_they_are_written() {
        let long = format!("\"{}\"", "x".repeat(ID_BYTES_MAX - 2));
        for id in [
            "1",
            "0",
            "-7",
            "1.50",
            "1e400",
            "123456789012345678901234567890",
            r#""""#,
            r#""a\u0041\n\"""#,
            "\"ä\"",
            "null",
            &long,
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"GetTask","params":{{}}}}"#);
            assert_eq!(read(text.as_bytes()).unwrap().id, Some(id));
        }
        let notification = read(br#" {"method":"Get\u0054ask","jsonrpc":"2.0","later":1} "#).unwrap();
        assert_eq!(
            (notification.id, notification.method.as_ref(), notification.params),
            (None, "GetTask", None)
        );
    }

    #[test]
    fn what_is_no_request_is_refused_under_its_id() {
        for (text, id, code) in [
            ("", "null", -32700),
            ("{", "null", -32700),
            ("nonsense", "null", -32700),
            (r#"{"jsonrpc":"2.0","id":1,"method":"GetTask",}"#, "null", -32700),
            (r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"} x"#, "null", -32700),
            ("1", "null", -32600),
            ("null", "null", -32600),
            (r#""x""#, "null", -32600),
            ("{}", "null", -32600),
            (r#"{"id":1}"#, "1", -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"GetTask"}"#, "1", -32600),
            (r#"{"jsonrpc":2.0,"id":"a","method":"GetTask"}"#, r#""a""#, -32600),
            (
                r#"{"jsonrpc":"2.0","id":true,"method":"GetTask"}"#,
                "null",
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","id":{"a":1},"method":"GetTask"}"#,
                "null",
                -32600,
            ),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"GetTask"}"#, "null", -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "1", -32600),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"GetTask"}"#,
                "null",
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"GetTask"}"#,
                "null",
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
                "null",
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[1]}"#,
                "1",
                -32602,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":null}"#,
                "1",
                -32602,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":"x"}"#,
                "1",
                -32602,
            ),
        ] {
            assert_eq!(refusal(text), (id.to_owned(), code), "{text}");
        }
        assert_eq!(
            read(b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\"}")
                .unwrap_err()
                .error
                .json_rpc_code(),
            -32700
        );
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":"GetTask"}}"#,
            "x".repeat(ID_BYTES_MAX)
        );
        assert_eq!(refusal(&long), ("null".to_owned(), -32600));
    }

    #[test]
    fn a_batch_is_counted_beyond_its_limit() {
        let batch = |text: &'static str| match root(text.as_bytes(), 2) {
            Ok(Root::Many(entries, count)) => {
                Some((entries.iter().map(|entry| entry.get()).collect(), count))
            }
            _ => None,
        };
        assert_eq!(batch("[]"), Some((vec![], 0)));
        assert_eq!(
            batch(r#" [ {"a" : 1} , 2 ] "#),
            Some((vec![r#"{"a" : 1}"#, "2"], 2))
        );
        assert_eq!(batch("[1,2,3,4]"), Some((vec!["1", "2"], 4)));
        for bad in ["[", "[1,]", "[1,2,3", "[1] x"] {
            assert_eq!(
                root(bad.as_bytes(), 2).unwrap_err().kind,
                Kind::ParseError,
                "{bad}"
            );
        }
        assert!(matches!(root(b"{}", 2), Ok(Root::One(b"{}"))));
    }
}

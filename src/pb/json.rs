//! ProtoJSON text in and out (specification sections 5.5 to 5.7).
//!
//! Every message of [`crate::pb`] is `Serialize` and `Deserialize` in its ProtoJSON form, straight from and to the
//! prost struct. These functions are to be preferred over serde_json's: they name the place of an error and keep what
//! the sender wrote out of the message.
//!
//! Out: camelCase, enum names, times in UTC with milliseconds, standard base64, whole numbers without a fraction;
//! required fields always, others when they are not at their default. In: camelCase or snake_case, enum names or
//! numbers, either base64 alphabet, null for absent, int32 as string; unknown fields are ignored. Refused: a field
//! given twice, two members of a oneof, NaN and infinity.

use std::fmt;
use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

pub use super::codec::Empty;

/// Which half of reading failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not JSON.
    Syntax,
    /// The JSON is not what the message's type demands.
    Data,
}

/// Why text could not become a message, or a message text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Which half failed.
    pub kind: ErrorKind,
    /// Where, as the sender spelled it: `message.parts[0].raw`; empty for the whole text and for bad syntax.
    pub path: String,
    /// What is wrong; at most some 80 characters of it are the sender's.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads a message from JSON text in UTF-8.
///
/// # Errors
/// When the text is not JSON, or not this message. Required fields that are missing are no error here:
/// [`inspect`](super::inspect::inspect) reports them.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    // Paths cost time, so they are only kept on a second reading, of what is known to be bad.
    serde_json::from_slice(text).map_err(|error| located::<T>(text, &error))
}

/// Reads a message from JSON text; see [`from_slice`].
///
/// # Errors
/// As [`from_slice`].
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    serde_json::from_str(text).map_err(|error| located::<T>(text.as_bytes(), &error))
}

/// Writes a message as JSON text.
///
/// # Errors
/// When a number is not finite or a timestamp has no form; the error names no path.
pub fn to_vec<T: Serialize>(message: &T) -> Result<Vec<u8>, JsonError> {
    const BYTES_AHEAD: usize = 1_024;
    let mut text = Vec::with_capacity(BYTES_AHEAD);
    to_writer(&mut text, message)?;
    Ok(text)
}

/// Writes a message as JSON text to a writer; see [`to_vec`].
///
/// # Errors
/// As [`to_vec`], and when the writer fails.
pub fn to_writer<W: Write, T: Serialize>(writer: W, message: &T) -> Result<(), JsonError> {
    serde_json::to_writer(writer, message).map_err(|error| JsonError::data(String::new(), &error.to_string()))
}

impl JsonError {
    pub(super) fn data(path: String, message: &str) -> Self {
        // serde calls the root ".".
        let path = if path == "." { String::new() } else { path };
        Self {
            kind: ErrorKind::Data,
            path: shorten(path),
            message: shorten(message.to_owned()),
        }
    }
}

fn located<T: DeserializeOwned>(text: &[u8], error: &serde_json::Error) -> JsonError {
    if kind(error) == ErrorKind::Syntax {
        return JsonError {
            kind: ErrorKind::Syntax,
            path: String::new(),
            message: shorten(error.to_string()),
        };
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => {
            let path = error.path().to_string();
            JsonError::data(path, &without_position(error.inner()))
        }
        Ok(_) => JsonError::data(String::new(), &without_position(error)),
    }
}

fn kind(error: &serde_json::Error) -> ErrorKind {
    // These two are well-formed JSON that no message can hold.
    const WELL_FORMED: [&str; 2] = ["number out of range", "recursion limit exceeded"];
    let beyond = || {
        WELL_FORMED
            .iter()
            .any(|start| error.to_string().starts_with(start))
    };
    match error.classify() {
        Category::Data => ErrorKind::Data,
        _ if beyond() => ErrorKind::Data,
        _ => ErrorKind::Syntax,
    }
}

/// The message without the line and column: the path says it better.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message
        .strip_suffix(&position)
        .map(str::to_owned)
        .unwrap_or(message)
}

/// Cuts the middle out of a long text, which is where serde quotes the sender.
fn shorten(text: String) -> String {
    const CHARS_MAX: usize = 160;
    const CHARS_KEPT: usize = 50;
    let count = text.chars().count();
    if count <= CHARS_MAX {
        return text;
    }
    let head = text.chars().take(CHARS_KEPT);
    let tail = text.chars().skip(count - CHARS_KEPT);
    head.chain(" ... ".chars()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Message, SendMessageRequest};

    #[test]
    fn names_the_place_as_the_sender_spelled_it() {
        for (text, path) in [
            (
                r#"{"message":{"parts":[{"text":"a"},{"raw":"@"}]}}"#,
                "message.parts[1].raw",
            ),
            (r#"{"message":{"message_id":7}}"#, "message.message_id"),
            (r#"{"message":[]}"#, "message"),
            (r#"{"metadata":{"a":{"b":1,"b":2}}}"#, "metadata.a.b"),
            (
                r#"{"message":{"contextId":"a","context_id":"b"}}"#,
                "message.context_id",
            ),
            (
                r#"{"message":{"parts":[{"text":"a","url":"b"}]}}"#,
                "message.parts[0].url",
            ),
            (
                r#"{"message":{"parts":[{"text":"a","data":null}]}}"#,
                "message.parts[0].data",
            ),
            (
                r#"{"configuration":{"historyLength":1.5}}"#,
                "configuration.historyLength",
            ),
            ("[]", ""),
            ("null", ""),
        ] {
            let error = from_str::<SendMessageRequest>(text).unwrap_err();
            assert_eq!(
                (error.kind, error.path.as_str()),
                (ErrorKind::Data, path),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn tells_bad_syntax_from_bad_data() {
        for text in [
            "",
            "{",
            "{\"messageId\":}",
            "{} {}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":01}",
        ] {
            assert_eq!(
                from_str::<Message>(text).unwrap_err().kind,
                ErrorKind::Syntax,
                "{text}"
            );
        }
        for text in [
            r#"{"metadata":{"a":1e400}}"#.to_owned(),
            format!(r#"{{"metadata":{{"a":{}"#, "[".repeat(500)),
        ] {
            assert_eq!(
                from_str::<Message>(&text).unwrap_err().kind,
                ErrorKind::Data,
                "{text}"
            );
        }
        assert_eq!(
            from_slice::<Message>(b"{\"messageId\":\"\xff\"}")
                .unwrap_err()
                .kind,
            ErrorKind::Syntax
        );
    }

    #[test]
    fn quotes_little_of_what_was_sent() {
        let long = "secret".repeat(1_000);
        for text in [
            format!(r#"{{"message":"{long}"}}"#),
            format!(r#"{{"message":{{"role":"{long}"}}}}"#),
            format!(r#"{{"message":{{"parts":[{{"raw":"{long}@"}}]}}}}"#),
            format!(r#"{{"metadata":{{"{long}":1,"{long}":1}}}}"#),
        ] {
            let error = from_str::<SendMessageRequest>(&text).unwrap_err();
            assert!(error.to_string().matches("secret").count() <= 16, "{error}");
        }
    }

    #[test]
    fn empty_is_an_object() {
        assert_eq!(to_vec(&Empty).unwrap(), b"{}");
        assert_eq!(from_str::<Empty>(r#"{"later":[1]}"#).unwrap(), Empty);
        assert!(from_str::<Empty>("null").is_err());
    }
}

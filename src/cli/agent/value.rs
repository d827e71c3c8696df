//! JSON values as the protocol carries them. They have a form only within its messages, so they go through a part.

use a2ad::pb::{Part, Struct, Value, json, part};
use serde_json::value::RawValue;

/// A value out of JSON.
pub fn read(text: &[u8]) -> Result<Value, String> {
    match within("data", text)?.content {
        Some(part::Content::Data(value)) => Ok(value),
        _ => Err("it is no value".into()),
    }
}

/// An object out of JSON: what an option for metadata takes.
pub fn object(text: &str) -> Result<Struct, String> {
    let read = within("metadata", text.as_bytes()).map(|part| part.metadata);
    match read {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err("write a JSON object, for example '{\"k\":\"v\"}'".into()),
        Err(error) => Err(format!(
            "write a JSON object, for example '{{\"k\":\"v\"}}': {error}"
        )),
    }
}

fn within(member: &str, text: &[u8]) -> Result<Part, String> {
    // Only what is one value can't break out of the part.
    let value: &RawValue = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let part = format!("{{\"{member}\":{value}}}");
    json::from_str(&part).map_err(|error| error.to_string())
}

/// A value for people.
pub fn pretty(value: &Value) -> String {
    shown(
        "data",
        &Part {
            content: Some(part::Content::Data(value.clone())),
            ..Part::default()
        },
    )
}

/// An object for people.
pub fn pretty_object(object: &Struct) -> String {
    shown(
        "metadata",
        &Part {
            metadata: Some(object.clone()),
            ..Part::default()
        },
    )
}

fn shown(member: &str, part: &Part) -> String {
    let json = json::to_vec(part).ok();
    let part = json.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    let text = part.and_then(|part| serde_json::to_string_pretty(part.get(member)?).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        for text in [
            "1",
            "\"a\"",
            "null",
            "[\n  true\n]",
            "{\n  \"a\": {\n    \"b\": 1\n  }\n}",
        ] {
            assert_eq!(pretty(&read(text.as_bytes()).unwrap()), text);
        }
        assert_eq!(pretty_object(&object("{\"k\": 1}").unwrap()), "{\n  \"k\": 1\n}");
        for bad in ["", "1,\"text\":\"x\"", "{", "[1] 2"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["1", "null", "[]", "{}}"] {
            assert!(object(bad).is_err(), "{bad}");
        }
    }
}

//! JSON in which no object has two members of one name (RFC 7515 section 4, RFC 7519 section 4).
//!
//! With two of one name, two readers may see two tokens. The usual reader keeps the last one and says nothing, within an
//! object that nobody asks for just as within one that says which groups a caller is in.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The members of an object. All of them are read, those that nobody asks for too: a text that another reader refuses is
/// refused here as well. `None` for anything else, and when a name is there twice at any depth.
pub(super) fn members(json: &[u8]) -> Option<BTreeMap<String, Value>> {
    match serde_json::from_slice(json) {
        Ok(Single(Value::Object(members))) => Some(members.into_iter().collect()),
        _ => None,
    }
}

/// A value without such objects.
struct Single(Value);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without a member twice")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number is none"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Single(entry)) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Single(value))) = entries.next_entry::<String, Single>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_meaning_is_read_as_it_stands() {
        let text = r#"{"a":{"x":[1,-2,1.5,true,null,"\u00e9",{"x":18446744073709551615}]},"b":{"x":{}},"x":[{"x":1},{"x":2}]}"#;
        let read = members(text.as_bytes()).unwrap();
        let usual: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(read, usual);
        assert!(members(b"{}").unwrap().is_empty());
    }

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"\u0062":2}]}"#,
            r#"{"a":{"b":{"c":[[{"d":null,"e":1,"d":null}]]}}}"#,
        ] {
            assert!(
                serde_json::from_str::<Value>(text).is_ok(),
                "{text}: the usual reader"
            );
            assert!(members(text.as_bytes()).is_none(), "{text}");
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(members(deep(100).as_bytes()).is_some() && members(deep(10_000).as_bytes()).is_none());
        for text in [
            "[]",
            "1",
            "null",
            "{}{}",
            "{\"a\":1e400}",
            "{\"a\":\"\\ud800\"}",
            "",
        ] {
            assert!(members(text.as_bytes()).is_none(), "{text}");
        }
    }
}

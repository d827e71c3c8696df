//! Request messages from URL query parameters (specification section 11.5).

use std::collections::BTreeMap;
use std::slice;

use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use super::json::JsonError;

/// Reads a message from decoded query parameters.
///
/// Names are the JSON names, or the proto names. Values are text, `true` or `false`, decimal numbers, enum names and
/// RFC 3339 times; an array is given by repeating the name or by commas. Names that are not known are ignored.
///
/// # Errors
/// When a value does not fit its field, a field that is no array is given twice, or the field is an object, which a
/// query cannot carry. The error's path is the parameter's name.
pub fn from_pairs<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, JsonError> {
    let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        parameters.entry(name).or_default().push(value);
    }
    let parameters = parameters
        .into_iter()
        .map(|(name, values)| (name, Parameter { values }));
    let deserializer = MapDeserializer::<_, Error>::new(parameters);
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| JsonError::data(error.path().to_string(), &error.inner().to_string()))
}

/// All values of one name.
struct Parameter<'a> {
    values: Vec<&'a str>,
}

impl Parameter<'_> {
    fn single(&self) -> Result<&str, Error> {
        match self.values.as_slice() {
            [value] => Ok(value),
            _ => Err(de::Error::custom("the parameter is given more than once")),
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Parameter<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.single()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.single()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(de::Error::custom("the value is neither true nor false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items {
            values: self.values.iter(),
            items: None,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom(
            "a query parameter cannot carry an object; use a request with a body",
        ))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct struct enum identifier
    }
}

/// The elements of an array: those between commas of each value in turn.
struct Items<'a> {
    values: slice::Iter<'a, &'a str>,
    items: Option<std::str::Split<'a, char>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        loop {
            if let Some(item) = self.items.as_mut().and_then(Iterator::next) {
                return seed.deserialize(StrDeserializer::new(item)).map(Some);
            }
            match self.values.next() {
                Some(value) => self.items = Some(value.split(',')),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{
        GetTaskRequest, ListTasksRequest, Message, SendMessageConfiguration, TaskState, Timestamp,
    };

    fn read<T: DeserializeOwned>(query: &[(&str, &str)]) -> Result<T, JsonError> {
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        from_pairs(&pairs)
    }

    #[test]
    fn reads_every_type_under_either_name() {
        let request: ListTasksRequest = read(&[
            ("contextId", "c"),
            ("status", "TASK_STATE_WORKING"),
            ("page_size", "50"),
            ("includeArtifacts", "true"),
            ("statusTimestampAfter", "1970-01-01T00:00:01Z"),
            ("later", "x"),
            ("later", "y"),
        ])
        .unwrap();
        let expected = ListTasksRequest {
            context_id: "c".into(),
            status: TaskState::Working.into(),
            page_size: Some(50),
            include_artifacts: Some(true),
            status_timestamp_after: Some(Timestamp { seconds: 1, nanos: 0 }),
            ..Default::default()
        };
        assert_eq!(request, expected);
        assert_eq!(
            read::<ListTasksRequest>(&[]).unwrap(),
            ListTasksRequest::default()
        );
    }

    #[test]
    fn arrays_repeat_or_have_commas() {
        let read = |query| {
            read::<SendMessageConfiguration>(query)
                .unwrap()
                .accepted_output_modes
        };
        assert_eq!(
            read(&[("acceptedOutputModes", "a"), ("acceptedOutputModes", "b,c")]),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn names_the_parameter_that_does_not_fit() {
        for (query, path) in [
            (&[("historyLength", "x")][..], "historyLength"),
            (&[("historyLength", "")], "historyLength"),
            (&[("id", "a"), ("id", "b")], "id"),
            (
                &[("history_length", "1"), ("historyLength", "1")],
                "history_length",
            ),
        ] {
            assert_eq!(read::<GetTaskRequest>(query).unwrap_err().path, path, "{query:?}");
        }
        assert_eq!(
            read::<ListTasksRequest>(&[("includeArtifacts", "1")])
                .unwrap_err()
                .path,
            "includeArtifacts"
        );
        assert_eq!(
            read::<ListTasksRequest>(&[("status", "working")])
                .unwrap_err()
                .path,
            "status"
        );
        assert_eq!(
            read::<Message>(&[("metadata", "{}")]).unwrap_err().path,
            "metadata"
        );
    }
}

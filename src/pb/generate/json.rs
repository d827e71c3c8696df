//! Prints `Serialize`, `Deserialize` and `codec::Fields` for every message, and `codec::Names` for every enum.

use std::fmt::Write;

use super::model::{Field, Holds, Message, Package, Shape};

/// A message with more fields would need a wider set of seen fields in `codec`.
const FIELDS_MAX: usize = 32;

pub fn print(package: &Package) -> String {
    let enums = package.enums.iter().map(|name| names(name));
    let messages = package
        .messages
        .iter()
        .map(|one| serialize(one) + &deserialize(one) + &fields(one));
    enums.chain(messages).collect()
}

impl Holds {
    /// The type that reads the value from JSON.
    fn reader(&self) -> String {
        match self {
            Self::String => "String".into(),
            Self::Bool => "bool".into(),
            Self::Message(name) => name.clone(),
            Self::Enum(name) => format!("codec::Enum<{name}>"),
            Self::Bytes => "codec::Json<prost::bytes::Bytes>".into(),
            Self::Int32 => "codec::Json<i32>".into(),
            Self::Struct => "codec::Json<prost_types::Struct>".into(),
            Self::Value => "codec::Json<prost_types::Value>".into(),
            Self::Timestamp => "codec::Json<prost_types::Timestamp>".into(),
        }
    }

    /// What writes the value to JSON, given an expression for a reference to it.
    fn writer(&self, reference: &str) -> String {
        match self {
            Self::String | Self::Bool | Self::Int32 | Self::Message(_) => reference.to_owned(),
            Self::Enum(name) => format!("&codec::Enum::<{name}>::new(*{reference})"),
            Self::Bytes | Self::Struct | Self::Value | Self::Timestamp => {
                format!("&codec::Json({reference})")
            }
        }
    }

    /// The condition under which a plain value is not its default, given an expression for its place.
    fn filled(&self, place: &str) -> String {
        match self {
            Self::String | Self::Bytes => format!("!{place}.is_empty()"),
            Self::Bool => place.to_owned(),
            Self::Int32 | Self::Enum(_) => format!("{place} != 0"),
            Self::Struct | Self::Value | Self::Timestamp | Self::Message(_) => {
                unreachable!("messages have presence")
            }
        }
    }
}

fn names(name: &str) -> String {
    format!(
        "impl codec::Names for {name} {{
            const TYPE: &'static str = \"{name}\";
            fn number(name: &str) -> Option<i32> {{ Self::from_str_name(name).map(|one| one as i32) }}
            fn name(number: i32) -> Option<&'static str> {{ Self::try_from(number).ok().map(|one| one.as_str_name()) }}
        }}\n"
    )
}

fn serialize(message: &Message) -> String {
    let mut body = String::new();
    let mut oneofs_done = Vec::new();
    for field in &message.fields {
        match &field.shape {
            Shape::Member { oneof, .. } if oneofs_done.contains(&oneof) => {}
            Shape::Member { oneof, .. } => {
                body += &write_oneof(message, oneof);
                oneofs_done.push(oneof);
            }
            _ => body += &write_field(field),
        }
    }
    format!(
        "impl serde::Serialize for {0} {{
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                {body}map.end()
            }}
        }}\n",
        message.rust
    )
}

fn write_field(field: &Field) -> String {
    let place = format!("self.{}", field.rust);
    let entry = |value: &str| format!("map.serialize_entry({:?}, {value})?;", field.json);
    match field.shape {
        Shape::Optional => format!(
            "if let Some(value) = &{place} {{ {} }}\n",
            entry(&field.holds.writer("value"))
        ),
        // The elements of a list or map are strings or messages, which write themselves.
        Shape::List | Shape::Map if field.required => entry(&format!("&{place}")) + "\n",
        Shape::List | Shape::Map => format!("if !{place}.is_empty() {{ {} }}\n", entry(&format!("&{place}"))),
        _ if field.required => entry(&field.holds.writer(&format!("&{place}"))) + "\n",
        _ => format!(
            "if {} {{ {} }}\n",
            field.holds.filled(&place),
            entry(&field.holds.writer(&format!("&{place}")))
        ),
    }
}

fn write_oneof(message: &Message, wanted: &str) -> String {
    let mut arms = String::new();
    for field in &message.fields {
        if let Shape::Member { oneof, variant } = &field.shape
            && oneof == wanted
        {
            let value = field.holds.writer("value");
            writeln!(
                arms,
                "Some({variant}(value)) => map.serialize_entry({:?}, {value})?,",
                field.json
            )
            .expect("a string takes all");
        }
    }
    format!("match &self.{wanted} {{ {arms} None => {{}} }}\n")
}

fn deserialize(message: &Message) -> String {
    format!(
        "impl<'de> serde::Deserialize<'de> for {0} {{
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{
                codec::message(deserializer)
            }}
        }}\n",
        message.rust
    )
}

fn fields(message: &Message) -> String {
    assert!(
        message.fields.len() <= FIELDS_MAX,
        "{} has too many fields",
        message.rust
    );
    let (mut indexes, mut reads) = (String::new(), String::new());
    for (index, field) in message.fields.iter().enumerate() {
        let names = if field.json == field.proto {
            format!("{:?}", field.json)
        } else {
            format!("{:?} | {:?}", field.json, field.proto)
        };
        writeln!(indexes, "{names} => Some({index}),").expect("a string takes all");
        writeln!(reads, "{index} => {},", read_field(field)).expect("a string takes all");
    }
    format!(
        "impl codec::Fields for {0} {{
            const TYPE: &'static str = \"{0}\";
            fn index(name: &str) -> Option<u8> {{ match name {{ {indexes} _ => None }} }}
            fn read<'de, A: serde::de::MapAccess<'de>>(&mut self, index: u8, map: &mut A) -> Result<(), A::Error> {{
                match index {{ {reads} _ => codec::skip(map) }}
            }}
        }}\n",
        message.rust
    )
}

fn read_field(field: &Field) -> String {
    let reader = field.holds.reader();
    let call =
        |function: &str, place: &str| format!("codec::{function}::<{reader}, _>(&mut self.{place}, map)");
    match (&field.shape, &field.holds) {
        (Shape::Plain, _) => call("plain", &field.rust),
        (Shape::Optional, Holds::Value) => panic!("{}: null would be ambiguous", field.proto),
        (Shape::Optional, _) => call("optional", &field.rust),
        (Shape::List, Holds::String | Holds::Message(_)) => call("list", &field.rust),
        (Shape::Map, Holds::String | Holds::Message(_)) => call("table", &field.rust),
        (Shape::List | Shape::Map, _) => panic!("{}: no code for elements of this type", field.proto),
        (Shape::Member { oneof, variant }, holds) => {
            let function = if matches!(holds, Holds::Value) {
                "member_or_null"
            } else {
                "member"
            };
            format!("codec::{function}::<{reader}, _, _>(&mut self.{oneof}, map, {variant})")
        }
    }
}

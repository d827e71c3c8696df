//! What the printers need to know of a message: Rust names, JSON names, and what each field holds.

use std::collections::BTreeSet;

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The messages below these may carry empty strings and arrays where the protocol says REQUIRED: a card is
/// published, not sent as a request, and strictness would turn away cards of other makers.
const LENIENT_ROOT: &str = "AgentCard";
/// An empty page is a valid page, and its token is empty on the last one.
const LENIENT_ALONE: &str = "ListTasksResponse";
/// A part without content says nothing; the other oneofs may be empty because a newer peer filled them.
const CONTENT_REQUIRED: &str = "Part";

/// All messages and enums of the package.
pub struct Package {
    pub messages: Vec<Message>,
    /// Rust names of the enums.
    pub enums: Vec<String>,
}

/// One message.
pub struct Message {
    pub rust: String,
    pub fields: Vec<Field>,
    /// Empty strings and arrays are fine in required fields.
    pub lenient: bool,
    /// The oneof that must have a member: its Rust field name.
    pub content: Option<String>,
}

/// One field.
pub struct Field {
    pub rust: String,
    pub proto: String,
    pub json: String,
    pub holds: Holds,
    pub shape: Shape,
    pub required: bool,
}

/// The type of a field's value, or of an element of it.
pub enum Holds {
    String,
    Bytes,
    Bool,
    Int32,
    Struct,
    Value,
    Timestamp,
    /// An enum of the package, by its Rust name.
    Enum(String),
    /// A message of the package, by its Rust name.
    Message(String),
}

/// How many values there are and how prost stores them.
pub enum Shape {
    /// One, whose default means absent.
    Plain,
    /// None or one.
    Optional,
    List,
    /// Keys are strings.
    Map,
    /// A member of a oneof.
    Member {
        /// The Rust field of the oneof.
        oneof: String,
        /// The path of the Rust variant.
        variant: String,
    },
}

impl Package {
    pub fn read(pool: &DescriptorPool, package: &str) -> Self {
        let required = Required::new(pool);
        let lenient = reachable(pool, package, LENIENT_ROOT);
        let messages = pool
            .all_messages()
            .filter(|message| message.package_name() == package && !message.is_map_entry())
            .map(|message| Message {
                rust: rust_type(message.name()),
                fields: message
                    .fields()
                    .map(|field| Field::read(&message, &field, &required))
                    .collect(),
                lenient: lenient.contains(message.full_name()) || message.name() == LENIENT_ALONE,
                content: (message.name() == CONTENT_REQUIRED)
                    .then(|| message.oneofs().next().expect("has a oneof").name().to_owned()),
            })
            .collect();
        let enums = pool
            .all_enums()
            .filter(|one| one.package_name() == package)
            .map(|one| rust_type(one.name()))
            .collect();
        Self { messages, enums }
    }
}

impl Field {
    fn read(message: &MessageDescriptor, field: &FieldDescriptor, required: &Required) -> Self {
        let (holds, shape) = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                panic!("{} is a map of no entry", field.full_name())
            };
            assert!(
                matches!(entry.map_entry_key_field().kind(), Kind::String),
                "{}",
                field.full_name()
            );
            (Holds::read(&entry.map_entry_value_field()), Shape::Map)
        } else {
            (Holds::read(field), Shape::read(message, field))
        };
        Self {
            rust: field.name().to_snake_case(),
            proto: field.name().to_owned(),
            json: field.json_name().to_owned(),
            holds,
            shape,
            required: required.holds_for(field),
        }
    }
}

impl Holds {
    fn read(field: &FieldDescriptor) -> Self {
        match field.kind() {
            Kind::String => Self::String,
            Kind::Bytes => Self::Bytes,
            Kind::Bool => Self::Bool,
            Kind::Int32 => Self::Int32,
            Kind::Enum(one) => Self::Enum(rust_type(one.name())),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Struct" => Self::Struct,
                "google.protobuf.Value" => Self::Value,
                "google.protobuf.Timestamp" => Self::Timestamp,
                _ if message.package_name() == field.parent_message().package_name() => {
                    Self::Message(rust_type(message.name()))
                }
                other => panic!("{}: no code for {other}", field.full_name()),
            },
            other => panic!("{}: no code for {other:?}", field.full_name()),
        }
    }
}

impl Shape {
    fn read(message: &MessageDescriptor, field: &FieldDescriptor) -> Self {
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        match oneof {
            Some(oneof) => Self::Member {
                oneof: oneof.name().to_snake_case(),
                variant: format!(
                    "{}::{}::{}",
                    rust_type(message.name()).to_snake_case(),
                    oneof.name().to_upper_camel_case(),
                    field.name().to_upper_camel_case()
                ),
            },
            None if field.is_list() => Self::List,
            None if field.supports_presence() => Self::Optional,
            None => Self::Plain,
        }
    }
}

/// The name that prost gives a type.
fn rust_type(proto: &str) -> String {
    proto.to_upper_camel_case()
}

/// Full names of `root` and of the package's messages below it; none where the package has no such message.
fn reachable(pool: &DescriptorPool, package: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Vec<_> = pool
        .get_message_by_name(&format!("{package}.{root}"))
        .into_iter()
        .collect();
    while let Some(message) = open.pop() {
        if message.package_name() == package && names.insert(message.full_name().to_owned()) {
            open.extend(
                message
                    .fields()
                    .filter_map(|field| field.kind().as_message().cloned()),
            );
        }
    }
    names
}

/// Reads `google.api.field_behavior`.
pub struct Required(prost_reflect::ExtensionDescriptor);

impl Required {
    pub fn new(pool: &DescriptorPool) -> Self {
        Self(
            pool.get_extension_by_name("google.api.field_behavior")
                .expect("field_behavior.proto is imported"),
        )
    }

    pub fn holds_for(&self, field: &FieldDescriptor) -> bool {
        const REQUIRED: Value = Value::EnumNumber(2);
        let options = field.options();
        let behaviors = options.get_extension(&self.0);
        behaviors.as_list().is_some_and(|list| list.contains(&REQUIRED))
    }
}

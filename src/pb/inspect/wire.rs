//! How many values a protobuf message holds, told before anything is built from them: a part of two bytes becomes one of
//! two hundred.

use super::InspectLimits;
use crate::error::Violation;
use crate::pb;

/// What of a message can hold many values, by the numbers of its fields.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Nothing that is repeated.
    Flat,
    /// A SendMessageRequest.
    Request,
    /// Its configuration.
    Configuration,
    /// A Message.
    Message,
    /// A Part.
    Part,
    /// A google.protobuf.Struct.
    Object,
    /// An entry of one.
    Entry,
    /// A google.protobuf.Value.
    Value,
    /// A google.protobuf.ListValue.
    List,
}

/// A request of the service, as far as this goes.
pub trait Shaped {
    /// Its shape.
    const SHAPE: Shape = Shape::Flat;
}

impl Shaped for pb::SendMessageRequest {
    const SHAPE: Shape = Shape::Request;
}
impl Shaped for pb::GetTaskRequest {}
impl Shaped for pb::ListTasksRequest {}
impl Shaped for pb::CancelTaskRequest {}
impl Shaped for pb::SubscribeToTaskRequest {}
impl Shaped for pb::TaskPushNotificationConfig {}
impl Shaped for pb::GetTaskPushNotificationConfigRequest {}
impl Shaped for pb::ListTaskPushNotificationConfigsRequest {}
impl Shaped for pb::DeleteTaskPushNotificationConfigRequest {}
impl Shaped for pb::GetExtendedAgentCardRequest {}

impl Shape {
    /// What is in a field, and whether each of it is a node of its own.
    fn field(self, number: usize) -> (Self, bool) {
        match (self, number) {
            (Self::Request, 2) => (Self::Message, false),
            (Self::Request, 3) => (Self::Configuration, false),
            (Self::Request, 4) | (Self::Message, 6) | (Self::Part, 5) | (Self::Value, 5) => {
                (Self::Object, false)
            }
            (Self::Configuration, 1) | (Self::Message, 7 | 8) => (Self::Flat, true),
            (Self::Message, 5) => (Self::Part, true),
            (Self::Part, 4) | (Self::Entry, 2) => (Self::Value, false),
            (Self::Object, 1) => (Self::Entry, true),
            (Self::Value, 6) => (Self::List, false),
            (Self::List, 1) => (Self::Value, true),
            _ => (Self::Flat, false),
        }
    }
}

/// Looks at the bytes of a message that is not decoded yet. Of bytes that are no message it says anything.
///
/// # Errors
/// The violation of `nodes_max`, for the whole message.
pub fn inspect_wire<M: Shaped>(bytes: &[u8], limits: &InspectLimits) -> Result<(), Vec<Violation>> {
    // The shortest takes two bytes: most messages need no second look.
    if bytes.len() / 2 <= limits.nodes_max {
        return Ok(());
    }
    let mut left = limits.nodes_max;
    match walk(M::SHAPE, bytes, DEPTH_MAX, &mut left) {
        Err(Stop::TooMany) => Err(vec![Violation {
            field: String::new(),
            description: limits.too_many_nodes(),
        }]),
        Ok(()) | Err(Stop::Malformed) => Ok(()),
    }
}

/// As deep as prost goes; what is deeper it refuses.
const DEPTH_MAX: usize = 100;

enum Stop {
    TooMany,
    /// The decoder says it better.
    Malformed,
}

fn walk(shape: Shape, mut bytes: &[u8], depth: usize, left: &mut usize) -> Result<(), Stop> {
    if matches!(shape, Shape::Flat) {
        return Ok(());
    }
    let deeper = depth.checked_sub(1).ok_or(Stop::Malformed)?;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        // The wire types (Protocol Buffers encoding); groups are in no message of ours.
        let length = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes)?,
            5 => 4,
            _ => return Err(Stop::Malformed),
        };
        let (value, rest) = bytes.split_at_checked(length).ok_or(Stop::Malformed)?;
        bytes = rest;
        let (inner, is_node) = shape.field(key >> 3);
        if is_node {
            *left = left.checked_sub(1).ok_or(Stop::TooMany)?;
        }
        walk(inner, value, deeper, left)?;
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<usize, Stop> {
    prost::decode_length_delimiter(bytes).map_err(|_| Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value};

    use super::*;
    use crate::pb::inspect::inspect;
    use crate::pb::{Message, Part, Role, SendMessageConfiguration, SendMessageRequest, part};

    const LIMITS: InspectLimits = InspectLimits {
        depth_max: 24,
        nodes_max: 30,
        parts_max: 10_000,
    };

    fn number() -> Value {
        Value {
            kind: Some(Kind::NumberValue(1.0)),
        }
    }

    fn list(count: usize) -> Value {
        Value {
            kind: Some(Kind::ListValue(ListValue {
                values: vec![number(); count],
            })),
        }
    }

    fn object(count: usize) -> Struct {
        Struct {
            fields: (0..count).map(|key| (key.to_string(), number())).collect(),
        }
    }

    /// Requests with so many nodes of one kind, and one part.
    fn requests(count: usize) -> Vec<SendMessageRequest> {
        let part = |value: Value| Part {
            content: Some(part::Content::Data(value)),
            ..Part::default()
        };
        let message = || Message {
            message_id: "m".repeat(100),
            role: Role::User.into(),
            parts: vec![part(number())],
            ..Message::default()
        };
        let of = |message: Message| SendMessageRequest {
            message: Some(message),
            ..SendMessageRequest::default()
        };
        let texts = || vec![String::new(); count];
        let nested = Struct {
            fields: [("a".to_owned(), list(count - 1))].into(),
        };
        let mut requests = vec![of(message()); 9];
        let [
            all_parts,
            data,
            extensions,
            references,
            own,
            of_part,
            of_request,
            modes,
            deep,
        ] = requests.as_mut_slice()
        else {
            unreachable!("nine requests");
        };
        all_parts.message = Some(Message {
            parts: vec![part(number()); count + 1],
            ..message()
        });
        data.message = Some(Message {
            parts: vec![part(list(count))],
            ..message()
        });
        extensions.message = Some(Message {
            extensions: texts(),
            ..message()
        });
        references.message = Some(Message {
            reference_task_ids: texts(),
            ..message()
        });
        own.message = Some(Message {
            metadata: Some(object(count)),
            ..message()
        });
        of_part.message = Some(Message {
            parts: vec![Part {
                metadata: Some(object(count)),
                ..part(number())
            }],
            ..message()
        });
        of_request.metadata = Some(object(count));
        modes.configuration = Some(SendMessageConfiguration {
            accepted_output_modes: texts(),
            ..SendMessageConfiguration::default()
        });
        deep.metadata = Some(nested);
        requests
    }

    #[test]
    fn nodes_are_counted_as_they_are_behind_decoding() {
        for (count, is_good) in [(29, true), (30, false), (1_000, false)] {
            for (which, request) in requests(count).iter().enumerate() {
                let bytes = request.encode_to_vec();
                let early = inspect_wire::<SendMessageRequest>(&bytes, &LIMITS);
                let exact = inspect(request, &LIMITS);
                assert_eq!(
                    (early.is_ok(), exact.is_ok()),
                    (is_good, is_good),
                    "{which} {count}"
                );
                if let (Err(early), Err(exact)) = (early, exact) {
                    assert!(
                        exact.iter().any(|one| one.description == early[0].description),
                        "{exact:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn damaged_bytes_are_left_to_the_decoder() {
        let whole = requests(1_000)[1].encode_to_vec();
        for end in 0..200 {
            assert!(inspect_wire::<SendMessageRequest>(&whole[..end], &LIMITS).is_ok());
        }
        // Depth: a list in a list, and so on, without an end.
        let mut deep = Vec::new();
        for _ in 0..5_000 {
            let inner = prost::length_delimiter_len(deep.len());
            let mut outer = vec![0x0a];
            prost::encode_length_delimiter(deep.len(), &mut outer).unwrap();
            assert_eq!(outer.len(), inner + 1);
            outer.extend_from_slice(&deep);
            deep = vec![0x32];
            prost::encode_length_delimiter(outer.len(), &mut deep).unwrap();
            deep.extend_from_slice(&outer);
        }
        let mut metadata = vec![0x12];
        prost::encode_length_delimiter(deep.len(), &mut metadata).unwrap();
        metadata.extend_from_slice(&deep);
        let limits = InspectLimits {
            nodes_max: 1_000,
            ..LIMITS
        };
        let mut left = limits.nodes_max;
        assert!(matches!(
            walk(Shape::Entry, &metadata, DEPTH_MAX, &mut left),
            Err(Stop::Malformed)
        ));
    }
}

//! What inspection lets through and what it finds.

use prost_types::ListValue;

use super::*;
use crate::pb::{
    AgentCard, Artifact, ListTasksResponse, Message, Part, Role, SendMessageConfiguration,
    SendMessageRequest, StreamResponse, Task, TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskState,
    TaskStatus, part, stream_response,
};

fn text(text: &str) -> Part {
    Part {
        content: Some(part::Content::Text(text.into())),
        ..Default::default()
    }
}

fn data(kind: Option<Kind>) -> Part {
    Part {
        content: Some(part::Content::Data(Value { kind })),
        ..Default::default()
    }
}

fn request(parts: Vec<Part>) -> SendMessageRequest {
    let message = Message {
        message_id: "m".into(),
        role: Role::User.into(),
        parts,
        ..Default::default()
    };
    SendMessageRequest {
        message: Some(message),
        ..Default::default()
    }
}

fn found<M: Inspect>(message: &M) -> Vec<(String, String)> {
    let violations = inspect(message, &InspectLimits::default())
        .err()
        .unwrap_or_default();
    violations
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect()
}

fn fields<M: Inspect>(message: &M) -> Vec<String> {
    found(message).into_iter().map(|(field, _)| field).collect()
}

/// A value of so many arrays in one another.
fn nested(depth: usize) -> Value {
    (0..depth).fold(
        Value {
            kind: Some(Kind::NullValue(0)),
        },
        |inner, _| Value {
            kind: Some(Kind::ListValue(ListValue { values: vec![inner] })),
        },
    )
}

#[test]
fn a_good_message_passes() {
    assert!(found(&request(vec![text("hello"), data(Some(Kind::NullValue(0)))])).is_empty());
}

#[test]
fn required_fields_are_missed() {
    assert_eq!(fields(&SendMessageRequest::default()), ["message"]);
    let empty = SendMessageRequest {
        message: Some(Message::default()),
        ..Default::default()
    };
    assert_eq!(
        fields(&empty),
        ["message.messageId", "message.role", "message.parts"]
    );
    assert_eq!(
        fields(&Task {
            id: "t".into(),
            ..Default::default()
        }),
        ["status"]
    );
    let event = TaskArtifactUpdateEvent {
        task_id: "t".into(),
        context_id: "c".into(),
        ..Default::default()
    };
    let response = StreamResponse {
        payload: Some(stream_response::Payload::ArtifactUpdate(event)),
    };
    assert_eq!(fields(&response), ["artifactUpdate.artifact"]);
}

#[test]
fn a_nested_push_configuration_needs_only_its_url() {
    let with_url = |url: &str| SendMessageRequest {
        configuration: Some(SendMessageConfiguration {
            task_push_notification_config: Some(TaskPushNotificationConfig {
                url: url.into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..request(vec![text("x")])
    };
    assert!(found(&with_url("https://example.com")).is_empty());
    assert_eq!(
        fields(&with_url("")),
        ["configuration.taskPushNotificationConfig.url"]
    );
}

#[test]
fn cards_and_pages_may_have_empty_strings_and_arrays() {
    assert_eq!(fields(&AgentCard::default()), ["capabilities"]);
    assert!(found(&ListTasksResponse::default()).is_empty());
    let page = ListTasksResponse {
        tasks: vec![Task::default()],
        ..Default::default()
    };
    assert_eq!(fields(&page), ["tasks[0].id", "tasks[0].status"]);
}

#[test]
fn contents_and_enums_are_checked() {
    assert_eq!(
        fields(&request(vec![text("a"), Part::default()])),
        ["message.parts[1]"]
    );
    let status = TaskStatus {
        state: 99,
        ..Default::default()
    };
    assert_eq!(
        found(&status),
        [("state".to_owned(), "99 is not a TaskState".to_owned())]
    );
}

#[test]
fn the_character_nul_is_found_everywhere() {
    assert_eq!(fields(&request(vec![text("a\0")])), ["message.parts[0].text"]);
    let inner = Value {
        kind: Some(Kind::StringValue("\0".into())),
    };
    let object = Struct {
        fields: [("a\0".to_owned(), inner.clone()), ("b c".to_owned(), inner)].into(),
    };
    let part = data(Some(Kind::StructValue(object)));
    let data = "message.parts[0].data";
    assert_eq!(
        fields(&request(vec![part])),
        [
            format!(r#"{data}["a\0"]"#),
            format!(r#"{data}["a\0"]"#),
            format!(r#"{data}["b c"]"#)
        ]
    );
    let ids = Message {
        reference_task_ids: vec!["\0".into()],
        ..request(vec![text("x")]).message.unwrap()
    };
    assert_eq!(fields(&ids), ["referenceTaskIds[0]"]);
}

#[test]
fn values_must_have_a_kind_and_be_finite() {
    for kind in [
        None,
        Some(Kind::NumberValue(f64::NAN)),
        Some(Kind::NumberValue(f64::INFINITY)),
    ] {
        assert_eq!(fields(&request(vec![data(kind)])), ["message.parts[0].data"]);
    }
}

#[test]
fn depth_counts_objects_and_arrays() {
    let depth_max = InspectLimits::default().depth_max;
    assert!(found(&request(vec![data(nested(depth_max).kind)])).is_empty());
    let path = format!("message.parts[0].data{}", "[0]".repeat(depth_max));
    assert_eq!(fields(&request(vec![data(nested(depth_max + 1).kind)])), [path]);

    let metadata = |depth| Artifact {
        artifact_id: "a".into(),
        parts: vec![text("x")],
        metadata: Some(Struct {
            fields: [("k".to_owned(), nested(depth))].into(),
        }),
        ..Default::default()
    };
    assert!(found(&metadata(depth_max - 1)).is_empty());
    assert_eq!(found(&metadata(depth_max)).len(), 1);
}

#[test]
fn the_deepest_value_that_passes_survives_the_wire() {
    use prost::Message as _;

    let objects = (0..InspectLimits::default().depth_max).fold(nested(0), |inner, _| Value {
        kind: Some(Kind::StructValue(Struct {
            fields: [("k".to_owned(), inner)].into(),
        })),
    });
    let message = request(vec![data(objects.kind)]).message;
    let status = TaskStatus {
        state: TaskState::Working.into(),
        message,
        timestamp: None,
    };
    let task = Task {
        id: "t".into(),
        status: Some(status),
        ..Default::default()
    };
    assert!(found(&task).is_empty());
    let response = StreamResponse {
        payload: Some(stream_response::Payload::Task(task)),
    };
    assert_eq!(
        StreamResponse::decode(response.encode_to_vec().as_slice()).unwrap(),
        response
    );
}

#[test]
fn sizes_are_limited_and_reports_too() {
    let parts_max = InspectLimits::default().parts_max;
    assert!(found(&request(vec![text("x"); parts_max])).is_empty());
    assert_eq!(
        fields(&request(vec![text("x"); parts_max + 1])),
        ["message.parts"]
    );

    let nodes_max = InspectLimits::default().nodes_max;
    let list = |count| {
        data(Some(Kind::ListValue(ListValue {
            values: vec![nested(0); count],
        })))
    };
    assert!(found(&request(vec![list(nodes_max - 1)])).is_empty());
    let at_limit = found(&request(vec![list(nodes_max), text("\0")]));
    assert_eq!(at_limit.len(), 1, "the walk ends there: {at_limit:?}");

    assert_eq!(found(&request(vec![Part::default(); 100])).len(), VIOLATIONS_MAX);
}

#[test]
fn timestamps_must_have_a_textual_form() {
    let status = |seconds, nanos| TaskStatus {
        state: TaskState::Working.into(),
        timestamp: Some(Timestamp { seconds, nanos }),
        ..Default::default()
    };
    assert!(found(&status(0, 999_999_999)).is_empty());
    for (seconds, nanos) in [
        (0, -1),
        (0, 1_000_000_000),
        (-62_135_596_801, 0),
        (253_402_300_800, 0),
    ] {
        assert_eq!(fields(&status(seconds, nanos)), ["timestamp"]);
    }
}

//! Runs of tasks, as agents may send them.

mod lasting;
mod resume;
mod wait;
mod watch;

use proptest::prelude::*;

use super::Accumulator;
use crate::pb::stream_response::Payload;
use crate::pb::{
    Artifact, Message, Part, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent, part,
};

fn part(text: &str) -> Part {
    Part {
        content: Some(part::Content::Text(text.to_owned())),
        ..Part::default()
    }
}

pub(super) fn task(id: &str) -> StreamResponse {
    let task = Task {
        id: id.to_owned(),
        context_id: "c".to_owned(),
        status: Some(TaskStatus {
            state: TaskState::Submitted.into(),
            ..TaskStatus::default()
        }),
        ..Task::default()
    };
    StreamResponse {
        payload: Some(Payload::Task(task)),
    }
}

pub(super) fn status(state: TaskState, said: Option<&str>) -> StreamResponse {
    let message = said.map(|id| Message {
        message_id: id.to_owned(),
        ..Message::default()
    });
    let update = TaskStatusUpdateEvent {
        task_id: "t".to_owned(),
        context_id: "c".to_owned(),
        status: Some(TaskStatus {
            state: state.into(),
            message,
            timestamp: None,
        }),
        ..TaskStatusUpdateEvent::default()
    };
    StreamResponse {
        payload: Some(Payload::StatusUpdate(update)),
    }
}

pub(super) fn chunk(id: &str, texts: &[&str], append: bool) -> StreamResponse {
    let update = TaskArtifactUpdateEvent {
        task_id: "t".to_owned(),
        context_id: "c".to_owned(),
        artifact: Some(Artifact {
            artifact_id: id.to_owned(),
            parts: texts.iter().map(|text| part(text)).collect(),
            ..Artifact::default()
        }),
        append,
        ..TaskArtifactUpdateEvent::default()
    };
    StreamResponse {
        payload: Some(Payload::ArtifactUpdate(update)),
    }
}

pub(super) fn sum(events: &[StreamResponse]) -> Task {
    let mut all = Accumulator::new(usize::MAX);
    for event in events {
        all.add(event.clone()).unwrap();
    }
    all.into_task().unwrap()
}

/// Any run of a task, as agents may send it.
pub(super) fn run() -> impl Strategy<Value = Vec<StreamResponse>> {
    let update = prop_oneof![
        (any::<bool>(), "[a-z]{1,3}")
            .prop_map(|(says, id)| status(TaskState::Working, says.then_some(id.as_str()))),
        (
            "[xyz]",
            proptest::collection::vec("[a-z]{0,4}", 1..3),
            any::<bool>()
        )
            .prop_map(|(id, texts, append)| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                chunk(&id, &texts, append)
            }),
    ];
    proptest::collection::vec(update, 0..20).prop_map(|updates| {
        let mut events = vec![task("t")];
        events.extend(updates);
        events.push(status(TaskState::Completed, None));
        events
    })
}

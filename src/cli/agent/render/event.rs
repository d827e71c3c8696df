//! Events of a stream, each with the identifiers and the state that hold with it.

use a2ad::pb::{StreamResponse, TaskState, stream_response::Payload};

use super::message::{message, metadata};
use super::task::{artifact, identifiers, task};
use crate::cli::agent::page::Page;

/// What the events so far say of the task.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub task_id: String,
    pub context_id: String,
    pub state: i32,
    /// Whether an event has told the state; before that nobody knows it.
    pub is_state_known: bool,
}

impl Shown {
    /// Takes in what an event says. False if it is about no task.
    pub fn see(&mut self, event: &StreamResponse) -> bool {
        let (task_id, context_id, status) = match &event.payload {
            Some(Payload::Task(task)) => (&task.id, &task.context_id, task.status.as_ref()),
            Some(Payload::StatusUpdate(update)) => {
                (&update.task_id, &update.context_id, update.status.as_ref())
            }
            Some(Payload::ArtifactUpdate(update)) => (&update.task_id, &update.context_id, None),
            Some(Payload::Message(said)) => {
                self.context_id.clone_from(&said.context_id);
                return false;
            }
            None => return false,
        };
        if self.task_id != *task_id {
            (self.state, self.is_state_known) = (0, false);
        }
        self.task_id.clone_from(task_id);
        self.context_id.clone_from(context_id);
        if let Some(status) = status {
            (self.state, self.is_state_known) = (status.state, true);
        }
        true
    }

    /// The state, `UNSPECIFIED` if it is none that the protocol knows.
    pub fn state(&self) -> TaskState {
        TaskState::try_from(self.state).unwrap_or_default()
    }
}

/// One event. `next` is what to do then.
pub fn event(
    page: &mut Page,
    event: &StreamResponse,
    shown: &Shown,
    next: Option<&str>,
    with_history: bool,
    is_verbose: bool,
) {
    let identify = |page: &mut Page| {
        let state = shown.is_state_known.then_some(shown.state);
        identifiers(page, &shown.task_id, &shown.context_id, state);
        if let Some(next) = next {
            page.field("Next", next);
        }
    };
    match &event.payload {
        Some(Payload::Task(begun)) => task(page, begun, next, with_history, is_verbose),
        Some(Payload::Message(said)) => {
            page.field_if("Context", &said.context_id);
            message(page, "Message", said, is_verbose);
        }
        Some(Payload::StatusUpdate(update)) => {
            identify(page);
            if let Some(said) = update.status.as_ref().and_then(|status| status.message.as_ref()) {
                message(page, "Message", said, is_verbose);
            }
            if is_verbose {
                metadata(page, update.metadata.as_ref());
            }
        }
        Some(Payload::ArtifactUpdate(update)) => {
            identify(page);
            if is_verbose {
                page.field("Appends", update.append);
                page.field("Last chunk", update.last_chunk);
                metadata(page, update.metadata.as_ref());
            }
            if let Some(made) = &update.artifact {
                artifact(page, made, is_verbose);
            }
        }
        None => page.field("Event", "empty"),
    }
}

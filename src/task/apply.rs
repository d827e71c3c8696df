//! The reducer: how one event changes a task, and which events it refuses.

use super::{TaskEvent, event::ReplayError, is_terminal, may_follow};
use crate::pb::stream_response::Payload;
use crate::pb::{Artifact, Message, Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent};

/// Why an event can't happen to a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The task is in a terminal state.
    #[error("the task is {state:?} and takes no more events", state = .0)]
    Terminal(TaskState),
    /// The state can't follow the present one.
    #[error("the state can't go from {from:?} to {to:?}")]
    Transition {
        /// The present state.
        from: TaskState,
        /// The state asked for.
        to: TaskState,
    },
    /// A status event without a status, or an artifact event without an artifact.
    #[error("the event carries nothing")]
    Empty,
    /// An artifact without an id or without parts.
    #[error("an artifact needs an id and at least one part with content")]
    BadArtifact,
    /// A chunk for an artifact that the task does not have.
    #[error("artifact {0:?} can't be appended to: the task has no artifact of this id")]
    UnknownArtifact(String),
    /// One artifact more than a task may have.
    #[error("a task has at most {0} artifacts")]
    TooManyArtifacts(usize),
    /// A whole task or a direct message where an update of a task belongs.
    #[error("only status and artifact updates can follow the creation of a task")]
    NotAnUpdate,
}

/// Applies one status or artifact update; a refused one leaves the task untouched.
///
/// The message of the status that is replaced moves into the history, so that the history holds every message in
/// order and the present status message only once.
///
/// # Errors
/// See [`Refusal`].
pub fn apply(task: &mut Task, payload: Payload, artifacts_max: usize) -> Result<(), Refusal> {
    let from = current_state(task);
    if is_terminal(from) {
        return Err(Refusal::Terminal(from));
    }
    match payload {
        Payload::StatusUpdate(update) => apply_status(task, from, update),
        Payload::ArtifactUpdate(update) => apply_artifact(task, update, artifacts_max),
        Payload::Task(_) | Payload::Message(_) => Err(Refusal::NotAnUpdate),
    }
}

/// Puts a caller's message into the history, behind everything that was said before.
pub fn receive(task: &mut Task, message: Message) {
    task.history.push(message);
}

/// Applies events of the log to a task, or builds the task from its first event.
///
/// # Errors
/// When the events are not the dense continuation of what the task has seen, or do not decode.
pub fn replay<E>(task: Option<Task>, generation: u64, events: &[E]) -> Result<Option<Task>, ReplayError>
where
    E: std::borrow::Borrow<TaskEvent>,
{
    let mut task = task;
    let mut last = generation;
    for event in events {
        let event = event.borrow();
        if event.generation != last + 1 {
            return Err(ReplayError::Gap {
                after: last,
                found: event.generation,
            });
        }
        last = event.generation;
        match (&mut task, event.decode()?) {
            (None, Payload::Task(first)) => task = Some(first),
            (Some(task), payload) => {
                apply(task, payload, usize::MAX)?;
                if let Some(message) = event.decode_received()? {
                    receive(task, message);
                }
            }
            (None, _) => return Err(ReplayError::NoTask),
        }
    }
    Ok(task)
}

/// The state of a task; one that was never set counts as UNSPECIFIED.
pub(super) fn current_state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map_or(TaskState::Unspecified, |status| status.state())
}

fn apply_status(task: &mut Task, from: TaskState, update: TaskStatusUpdateEvent) -> Result<(), Refusal> {
    let status = update.status.ok_or(Refusal::Empty)?;
    let to = status.state();
    if !may_follow(from, to) {
        return Err(Refusal::Transition { from, to });
    }
    if let Some(said) = task.status.replace(status).and_then(|previous| previous.message) {
        task.history.push(said);
    }
    Ok(())
}

fn apply_artifact(task: &mut Task, update: TaskArtifactUpdateEvent, limit: usize) -> Result<(), Refusal> {
    let artifact = update.artifact.ok_or(Refusal::Empty)?;
    let whole = artifact.parts.iter().all(|part| part.content.is_some());
    if artifact.artifact_id.is_empty() || artifact.parts.is_empty() || !whole {
        return Err(Refusal::BadArtifact);
    }
    let full = task.artifacts.len() >= limit;
    let known = task
        .artifacts
        .iter_mut()
        .rev()
        .find(|known| known.artifact_id == artifact.artifact_id);
    match (known, update.append) {
        (Some(known), true) => append(known, artifact),
        (Some(known), false) => *known = artifact,
        (None, true) => return Err(Refusal::UnknownArtifact(artifact.artifact_id)),
        (None, false) if full => return Err(Refusal::TooManyArtifacts(limit)),
        (None, false) => task.artifacts.push(artifact),
    }
    Ok(())
}

/// Joins a chunk to its artifact: parts and extensions are added, metadata keys overwritten one by one.
pub(crate) fn append(known: &mut Artifact, chunk: Artifact) {
    known.parts.extend(chunk.parts);
    for extension in chunk.extensions {
        if !known.extensions.contains(&extension) {
            known.extensions.push(extension);
        }
    }
    if let Some(metadata) = chunk.metadata {
        known
            .metadata
            .get_or_insert_default()
            .fields
            .extend(metadata.fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Part, TaskStatus, part};

    fn task(state: TaskState) -> Task {
        let status = TaskStatus {
            state: state.into(),
            ..TaskStatus::default()
        };
        Task {
            id: "t".into(),
            status: Some(status),
            ..Task::default()
        }
    }

    fn status(state: TaskState, said: Option<&str>) -> Payload {
        let message = said.map(|id| Message {
            message_id: id.into(),
            ..Message::default()
        });
        let status = TaskStatus {
            state: state.into(),
            message,
            timestamp: None,
        };
        Payload::StatusUpdate(TaskStatusUpdateEvent {
            status: Some(status),
            ..TaskStatusUpdateEvent::default()
        })
    }

    fn chunk(id: &str, text: &str, append: bool) -> Payload {
        let part = Part {
            content: Some(part::Content::Text(text.into())),
            ..Part::default()
        };
        let artifact = Artifact {
            artifact_id: id.into(),
            parts: vec![part],
            ..Artifact::default()
        };
        Payload::ArtifactUpdate(TaskArtifactUpdateEvent {
            artifact: Some(artifact),
            append,
            ..Default::default()
        })
    }

    #[test]
    fn the_message_of_a_replaced_status_moves_into_the_history() {
        let mut task = task(TaskState::Submitted);
        apply(&mut task, status(TaskState::Working, Some("a")), 9).unwrap();
        assert!(task.history.is_empty());
        apply(&mut task, status(TaskState::InputRequired, Some("b")), 9).unwrap();
        receive(
            &mut task,
            Message {
                message_id: "c".into(),
                ..Message::default()
            },
        );
        apply(&mut task, status(TaskState::Completed, None), 9).unwrap();
        let ids: Vec<&str> = task.history.iter().map(|m| m.message_id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "b"]);
    }

    #[test]
    fn chunks_join_their_artifact_and_whole_ones_replace_it() {
        let mut task = task(TaskState::Working);
        apply(&mut task, chunk("x", "1", false), 9).unwrap();
        apply(&mut task, chunk("x", "2", true), 9).unwrap();
        assert_eq!(task.artifacts[0].parts.len(), 2);
        apply(&mut task, chunk("x", "3", false), 9).unwrap();
        assert_eq!((task.artifacts.len(), task.artifacts[0].parts.len()), (1, 1));
    }

    #[test]
    fn refused_events_leave_the_task_untouched() {
        let cases = [
            (TaskState::Completed, status(TaskState::Working, None)),
            (TaskState::Canceled, chunk("x", "1", false)),
            (TaskState::Working, status(TaskState::Submitted, None)),
            (TaskState::Working, status(TaskState::Unspecified, None)),
            (TaskState::Working, chunk("unknown", "1", true)),
            (TaskState::Working, chunk("", "1", false)),
            (TaskState::Working, Payload::Task(Task::default())),
            (TaskState::Working, Payload::Message(Message::default())),
        ];
        for (state, payload) in cases {
            let mut changed = task(state);
            assert!(apply(&mut changed, payload.clone(), 9).is_err(), "{payload:?}");
            assert_eq!(changed, task(state));
        }
        let mut full = task(TaskState::Working);
        apply(&mut full, chunk("x", "1", false), 1).unwrap();
        assert_eq!(
            apply(&mut full, chunk("y", "1", false), 1),
            Err(Refusal::TooManyArtifacts(1))
        );
    }
}

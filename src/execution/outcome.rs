//! How a turn can end badly, and the words that the task's status gets for it.

use std::sync::Arc;

use super::turn::Ended;
use super::writer::{Fault, Writer};
use crate::agent::TaskUpdate;
use crate::audit::Author;
use crate::error::{Error, Kind};
use crate::pb::{Message, Part, Role, TaskState, part};
use crate::task::{is_terminal, new_id};

/// Fails the task if it has not ended yet.
pub(super) fn fail(writer: &mut Writer, reason: &str) {
    if is_terminal(writer.state()) {
        return;
    }
    let message = agent_message(writer, reason);
    let update = TaskUpdate::Status {
        state: TaskState::Failed,
        message: Some(message),
        metadata: None,
    };
    if let Err(fault) = writer.update(update, &Author::Runtime) {
        tracing::error!(task.id = %writer.task_id(), %fault, "a task could not be failed");
    }
}

/// Brings the task into order after its execution ended; what the agent did wrong, if anything.
///
/// `settled` says that the agent's last word in the turn was a terminal or interrupted state. The task may be WORKING
/// again by then, because a message came while the agent was about to return.
pub(super) fn conclude(writer: &mut Writer, agent: &str, ended: &Ended, settled: bool) -> Option<Fault> {
    match ended {
        Ended::Returned if settled || is_terminal(writer.state()) => None,
        Ended::Returned => {
            fail(writer, "the agent returned without a result");
            Some(Fault::NoResult)
        }
        Ended::Failed(error) => {
            let cause = error.cause().map(ToString::to_string);
            tracing::warn!(agent, task.id = %writer.task_id(), %error, cause, "an execution failed");
            fail(writer, error.public());
            None
        }
        Ended::Panicked => {
            tracing::error!(agent, task.id = %writer.task_id(), "an agent panicked");
            fail(writer, "the agent panicked");
            None
        }
    }
}

/// What the caller is told when the agent broke the protocol.
pub(super) fn invalid_response(task_id: &Arc<str>, fault: &Fault) -> Error {
    Error::new(
        Kind::InvalidAgentResponse,
        format!("the agent broke the protocol and the task failed: {fault}"),
    )
    .with("taskId", &**task_id)
}

/// A message of one text part from the agent's side.
pub(super) fn agent_message(writer: &Writer, text: &str) -> Message {
    Message {
        message_id: new_id(),
        task_id: writer.task_id().to_string(),
        context_id: writer.context_id().to_string(),
        role: Role::Agent.into(),
        parts: vec![Part {
            content: Some(part::Content::Text(text.to_owned())),
            ..Part::default()
        }],
        ..Message::default()
    }
}

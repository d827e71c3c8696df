//! The pen of an execution: typed updates, handed to the task's one writer through a bounded queue.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::pb::{Artifact, Message, Part, Role, Struct, TaskState, part};
use crate::task::new_id;

/// One change that an execution asks for. The writer adds ids and the time, and refuses what the protocol forbids.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskUpdate {
    /// A new status.
    Status {
        /// The state to go to.
        state: TaskState,
        /// The message of the status.
        message: Option<Message>,
        /// The metadata of the update event.
        metadata: Option<Struct>,
    },
    /// An artifact, whole or a chunk of it.
    Artifact {
        /// The artifact or the chunk; its parts are what is added.
        artifact: Artifact,
        /// True to append the parts to the artifact of the same id, which must exist.
        append: bool,
        /// True if no chunk follows.
        last_chunk: bool,
        /// The metadata of the update event.
        metadata: Option<Struct>,
    },
    /// A direct message instead of a task; only as the first and only update.
    Reply(Message),
}

/// Why an update was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The task has ended: it was canceled, it failed, or the agent itself ended it before.
    #[error("the task has ended and takes no more updates; return from execute()")]
    Ended,
    /// An artifact without an id, or without a part.
    #[error("an artifact needs an id and at least one part")]
    EmptyArtifact,
}

/// What the writer receives from. Updates are boxed so that the queue itself stays small.
pub type UpdateReceiver = mpsc::Receiver<Box<TaskUpdate>>;

/// A queue of at most `limit` updates between an execution and its writer.
pub fn channel(task_id: Arc<str>, context_id: Arc<str>, limit: usize) -> (TaskUpdater, UpdateReceiver) {
    let (sender, receiver) = mpsc::channel(limit.max(1));
    (
        TaskUpdater {
            task_id,
            context_id,
            sender,
        },
        receiver,
    )
}

/// Writes a task's progress. Every method waits while the queue is full, so an agent can't run away from its
/// database. Clones write to the same task.
#[derive(Clone, Debug)]
pub struct TaskUpdater {
    task_id: Arc<str>,
    context_id: Arc<str>,
    sender: mpsc::Sender<Box<TaskUpdate>>,
}

impl TaskUpdater {
    /// Hands any update to the writer.
    pub async fn update(&self, update: TaskUpdate) -> Result<(), UpdateError> {
        let update = Box::new(update);
        match self.sender.try_send(update) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(update)) => {
                self.sender.send(update).await.map_err(|_| UpdateError::Ended)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(UpdateError::Ended),
        }
    }

    /// Goes to `state`, with a message if there is something to say.
    pub async fn status(&self, state: TaskState, message: Option<Message>) -> Result<(), UpdateError> {
        self.update(TaskUpdate::Status {
            state,
            message,
            metadata: None,
        })
        .await
    }

    /// WORKING, without words.
    pub async fn working(&self) -> Result<(), UpdateError> {
        self.status(TaskState::Working, None).await
    }

    /// WORKING, with a line about the progress.
    pub async fn progress(&self, text: &str) -> Result<(), UpdateError> {
        self.status(TaskState::Working, Some(self.message(text))).await
    }

    /// COMPLETED. Results belong into artifacts, which come before this.
    pub async fn complete(&self) -> Result<(), UpdateError> {
        self.status(TaskState::Completed, None).await
    }

    /// COMPLETED with closing words.
    pub async fn complete_with(&self, text: &str) -> Result<(), UpdateError> {
        self.status(TaskState::Completed, Some(self.message(text))).await
    }

    /// FAILED with the reason.
    pub async fn fail(&self, reason: &str) -> Result<(), UpdateError> {
        self.status(TaskState::Failed, Some(self.message(reason))).await
    }

    /// REJECTED with the reason: the agent won't do this.
    pub async fn reject(&self, reason: &str) -> Result<(), UpdateError> {
        self.status(TaskState::Rejected, Some(self.message(reason))).await
    }

    /// INPUT_REQUIRED with a question. Return from `execute` afterwards; the answer is a new execution.
    pub async fn ask_for_input(&self, question: &str) -> Result<(), UpdateError> {
        self.status(TaskState::InputRequired, Some(self.message(question)))
            .await
    }

    /// AUTH_REQUIRED with what is needed (specification 7.6).
    pub async fn ask_for_auth(&self, request: &str) -> Result<(), UpdateError> {
        self.status(TaskState::AuthRequired, Some(self.message(request)))
            .await
    }

    /// Adds or replaces a whole artifact.
    pub async fn artifact(&self, artifact: Artifact) -> Result<(), UpdateError> {
        self.chunk(artifact, false, true).await
    }

    /// Adds an artifact of one text part.
    pub async fn artifact_text(&self, name: &str, text: &str) -> Result<(), UpdateError> {
        let artifact = Artifact {
            artifact_id: new_id(),
            name: name.to_owned(),
            parts: vec![text_part(text)],
            ..Artifact::default()
        };
        self.artifact(artifact).await
    }

    /// Sends a chunk: the first with `append` false, the following with `append` true and the same artifact id.
    pub async fn chunk(&self, artifact: Artifact, append: bool, last_chunk: bool) -> Result<(), UpdateError> {
        if artifact.artifact_id.is_empty() || artifact.parts.is_empty() {
            return Err(UpdateError::EmptyArtifact);
        }
        self.update(TaskUpdate::Artifact {
            artifact,
            append,
            last_chunk,
            metadata: None,
        })
        .await
    }

    /// Answers with a direct message and no task. Only an agent that says [`may_reply`] can, and only before any
    /// other update of a new task.
    ///
    /// [`may_reply`]: super::AgentExecutor::may_reply
    pub async fn reply(&self, message: Message) -> Result<(), UpdateError> {
        self.update(TaskUpdate::Reply(message)).await
    }

    /// An agent's message of one text part, with the ids of this task.
    pub fn message(&self, text: &str) -> Message {
        self.message_of(vec![text_part(text)])
    }

    /// An agent's message of these parts, with the ids of this task.
    pub fn message_of(&self, parts: Vec<Part>) -> Message {
        Message {
            message_id: new_id(),
            context_id: self.context_id.to_string(),
            task_id: self.task_id.to_string(),
            role: Role::Agent.into(),
            parts,
            ..Message::default()
        }
    }
}

fn text_part(text: &str) -> Part {
    Part {
        content: Some(part::Content::Text(text.to_owned())),
        ..Part::default()
    }
}

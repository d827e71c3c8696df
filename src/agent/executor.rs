//! The trait that makes an agent.

use std::fmt;

use async_trait::async_trait;

use super::{RequestContext, TaskUpdater};
use crate::pb::Message;

/// An agent: it is handed one message at a time and writes the task's progress with the updater.
///
/// An execution outlives the request that started it. It ends the turn by bringing the task into a terminal state
/// (complete, fail, reject) or into an interrupted one (ask for input, ask for auth) and returning. Returning
/// earlier fails the task: nothing stays WORKING for ever.
///
/// ```
/// use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater};
///
/// struct Shout;
///
/// #[async_trait::async_trait]
/// impl AgentExecutor for Shout {
///     async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
///         let loud = request.text().to_uppercase();
///         updater.artifact_text("shout", &loud).await?;
///         updater.complete().await?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait AgentExecutor: Send + Sync + 'static {
    /// Works on one message of a task; one that comes meanwhile is handed over when this execution has returned. It may
    /// be run again for the same message when [`AgentExecutor::recovery`] says so and the process that ran it died or
    /// lost its lease: at least once, and only one of them can write. A process that was cut off from its database
    /// learns when it is back that another one has taken the task over; its execution is dropped then. Until then it
    /// runs on: a lease fences what is written to the task, not what the agent does elsewhere, so for a while two of
    /// them may be at it. [`RequestContext::attempt`] counts; what is left of the request in a later attempt says
    /// [`RequestContext`].
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError>;

    /// Asked once when a caller cancels the task. The execution, if one runs, goes on until this answers; after
    /// [`CancelOutcome::Canceled`] it is dropped and the task is CANCELED, unless it reached a terminal state first.
    /// The answer is awaited for `limits.cancel_timeout_ms`; silence counts as consent.
    async fn cancel(&self, _request: &RequestContext) -> CancelOutcome {
        CancelOutcome::Canceled(None)
    }

    /// What happens to a task that ran when the process died.
    fn recovery(&self) -> Recovery {
        Recovery::Fail
    }

    /// True if executions or cancels compute or block without awaiting. They run on threads of their own then, at most
    /// `executions_max` of each at once; without it a blocking agent holds up whatever else its thread would do, until
    /// the runtime has seen it do so three times (`execution.poll_ms_max`). An agent that blocks in few places only says
    /// false here and uses [`super::run_blocking`] there.
    ///
    /// The end of the process does not wait for such a thread: once the drain is over, it goes where it stands.
    fn is_blocking(&self) -> bool {
        false
    }

    /// True if the agent may answer with a direct message instead of a task ([`TaskUpdater::reply`]). The task of
    /// such an agent is stored only with its first update, so an execution that is silent at first is acknowledged
    /// later than another agent's.
    fn may_reply(&self) -> bool {
        false
    }
}

/// The agent's answer to a cancel request.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelOutcome {
    /// The task is canceled; the message, if any, goes into the final status.
    Canceled(Option<Message>),
    /// The agent can't stop now; the caller gets TaskNotCancelable with this reason.
    Refused(String),
}

/// What happens to a task that ran when the process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The task fails with a message that says so, if the agent had begun to work on a message and not said its last
    /// word to it. A message that had only been accepted is handed to the agent, as it would have been.
    Fail,
    /// The agent runs again with the same message, at most `execution.attempts_max` times, and gets the messages that
    /// were accepted behind it afterwards, in order. Only the messages are kept: what else the requests carried, their
    /// `configuration` and `metadata` above all, is gone then (see [`RequestContext`]).
    Restart,
}

/// Why an execution failed. The public text goes into the task's FAILED status; the cause goes to the log only.
#[derive(Debug)]
pub struct AgentError {
    public: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl AgentError {
    /// A failure whose text the caller may read.
    pub fn new(public: impl Into<String>) -> Self {
        Self {
            public: public.into(),
            cause: None,
        }
    }

    /// The text for the caller.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The cause for the log.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.cause.as_deref()
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.public)
    }
}

/// Any error becomes a failure of the task; its text stays in the log, because it may carry internals.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for AgentError {
    fn from(cause: E) -> Self {
        Self {
            public: "the agent failed".to_owned(),
            cause: Some(Box::new(cause)),
        }
    }
}

//! Endings from outside: a caller cancels, or a process died in the middle of a turn.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::Actor;
use crate::agent::{CancelOutcome, RequestContext, TaskUpdate};
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::execution::command::{Answer, Incoming, Reply};
use crate::execution::outcome::{agent_message, fail};
use crate::pb::{Role, TaskState};
use crate::task::{is_settled, is_terminal};

impl Actor {
    pub(super) fn begin_cancel(&mut self, call: &CallContext, reply: Reply) {
        self.cancelers.push(reply);
        if is_terminal(self.writer.state()) || self.cancel.is_some() {
            return;
        }
        let request = match &self.turn {
            Some(turn) => turn.request.clone(),
            None => self.last_request(call),
        };
        let executor = self.agent.executor.clone();
        let limit = self.shared().settings.cancel_timeout;
        self.cancel = Some(Box::pin(async move {
            // An agent that panics or says nothing has no reason to go on.
            let answer = AssertUnwindSafe(executor.cancel(&request)).catch_unwind();
            let answer = tokio::time::timeout(limit, answer).await;
            answer
                .ok()
                .and_then(Result::ok)
                .unwrap_or(CancelOutcome::Canceled(None))
        }));
    }

    pub(super) fn cancel_answered(&mut self, outcome: CancelOutcome) {
        self.cancel = None;
        match outcome {
            CancelOutcome::Refused(reason) if !is_terminal(self.writer.state()) => {
                for reply in std::mem::take(&mut self.cancelers) {
                    let _ = reply.send(Err(not_cancelable(self.writer.task_id(), &reason)));
                }
            }
            CancelOutcome::Refused(_) => {}
            CancelOutcome::Canceled(message) => {
                let update = TaskUpdate::Status {
                    state: TaskState::Canceled,
                    message,
                    metadata: None,
                };
                // A task that has just ended otherwise refuses this, and the cancelers are told so.
                if self.writer.update(update).is_ok() {
                    self.end_turn();
                }
            }
        }
    }

    /// What cancelers of an ended task get: repeating a cancel is fine, cancelling another end is not.
    pub(super) fn cancel_result(&self) -> Result<Answer, Error> {
        match self.writer.state() {
            TaskState::Canceled => Ok(self.answer()),
            state => {
                let reason = format!("the task is {}", state.as_str_name());
                Err(not_cancelable(self.writer.task_id(), &reason))
            }
        }
    }

    /// Takes up what a dead process left: the task says SUBMITTED or WORKING, and nobody works.
    pub(super) fn recover(&mut self, call: &CallContext, permit: Option<OwnedSemaphorePermit>) {
        if self.turn.is_some() || is_settled(self.writer.state()) {
            return;
        }
        match permit {
            Some(permit) => {
                tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), "execution restarted");
                let request = self.last_request(call);
                // The restart is an event of its own: it takes the task over from the dead writer.
                let message = agent_message(&self.writer, "the server restarted and the agent begins again");
                let working = TaskUpdate::Status {
                    state: TaskState::Working,
                    message: Some(message),
                    metadata: None,
                };
                match self.writer.update(working) {
                    Ok(()) => self.begin_turn(request, permit),
                    Err(fault) => self.broken(fault),
                }
            }
            None => {
                tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), "interrupted execution failed");
                fail(
                    &mut self.writer,
                    "the server stopped while the agent was working, and the agent can't start again",
                );
            }
        }
    }

    /// The request that the task was last asked to work on, as far as the history tells.
    pub(super) fn last_request(&self, call: &CallContext) -> RequestContext {
        let history = self.writer.cell().lock().history.clone();
        let follow_up = history
            .iter()
            .filter(|message| message.role() == Role::User)
            .count()
            > 1;
        let message = history
            .into_iter()
            .rev()
            .find(|message| message.role() == Role::User)
            .unwrap_or_default();
        let incoming = Incoming {
            message,
            configuration: None,
            metadata: None,
            call: call.clone(),
            key: None,
            push_configs: Vec::new(),
        };
        self.request(incoming, follow_up)
    }
}

fn not_cancelable(task_id: &Arc<str>, reason: &str) -> Error {
    Error::new(
        Kind::TaskNotCancelable,
        format!("the task can't be canceled: {reason}"),
    )
    .with("taskId", &**task_id)
}

//! Endings from outside: a caller cancels, or says nothing for too long; a turn takes too long.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::Actor;
use crate::agent::{Agent, CancelOutcome, RequestContext, TaskUpdate};
use crate::audit::Author;
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::execution::command::{Answer, Reply};
use crate::execution::outcome::fail;
use crate::execution::threads::{off_thread, watched};
use crate::execution::turn::Ended;
use crate::pb::TaskState;
use crate::task::{is_interrupted, is_terminal};

impl Actor {
    pub(super) fn begin_cancel(&mut self, call: &CallContext, reply: Reply) {
        self.callers.cancelers.push(reply);
        if is_terminal(self.writer.state()) || self.cancel.is_some() {
            return;
        }
        self.canceler = Some(Author::caller(call));
        if self.has_never_run() {
            // There is nobody who could refuse.
            return self.cancel_answered(CancelOutcome::Canceled(None));
        }
        let request = match (&self.work.turn, &self.work.waiting) {
            (Some(turn), _) => turn.request.clone(),
            (None, Some(waiting)) => waiting.request.clone(),
            (None, None) => self.present_request(call),
        };
        let settings = &self.shared().settings;
        let limit = settings.cancel_timeout;
        let answer = asked(self.agent.clone(), request, settings.poll_max);
        self.cancel = Some(Box::pin(async move {
            // An agent that panics or says nothing has no reason to go on.
            let answer = tokio::time::timeout(limit, answer).await;
            answer.ok().flatten().unwrap_or(CancelOutcome::Canceled(None))
        }));
    }

    pub(super) fn cancel_answered(&mut self, outcome: CancelOutcome) {
        self.cancel = None;
        let author = self.canceler.take().unwrap_or(Author::Runtime);
        match outcome {
            CancelOutcome::Refused(reason) if !is_terminal(self.writer.state()) => {
                for reply in std::mem::take(&mut self.callers.cancelers) {
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
                if self.writer.update(update, &author).is_ok() {
                    self.work.end();
                }
            }
        }
    }

    /// The execution has run for as long as it may.
    pub(super) fn time_is_up(&mut self) {
        if self.work.turn.as_ref().is_some_and(|turn| turn.settled) {
            // It has said its last word and only lingers.
            return self.turn_ended(&Ended::Returned);
        }
        let limit = self.agent.options.task_timeout.unwrap_or_default();
        tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), ?limit, "an execution took too long");
        let reason = format!(
            "the agent worked for longer than {} ms, its limit (task_timeout_ms)",
            limit.as_millis()
        );
        fail(&mut self.writer, &reason);
        self.work.end();
    }

    /// The caller has not answered for too long, if the task still waits since then, its execution is over,
    /// and no message waits for another process to take it up.
    pub(super) fn expire(&mut self, since_ms: i64) {
        let waits = is_interrupted(self.writer.state()) && self.writer.status_ms() <= since_ms;
        if !waits || self.work.is_busy() || self.is_foreign() {
            return;
        }
        let ttl = self.agent.options.interrupted_ttl.unwrap_or_default();
        let reason = format!(
            "no answer came within {} ms, the limit (interrupted_ttl_ms)",
            ttl.as_millis()
        );
        fail(&mut self.writer, &reason);
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
}

/// What the agent says to a cancel, on a thread of its own if it blocks: only so the time it takes can run out. `None`
/// if it panics.
async fn asked(agent: Arc<Agent>, request: RequestContext, poll_max: Duration) -> Option<CancelOutcome> {
    let executor = agent.executor.clone();
    let answer = async move {
        let answer = AssertUnwindSafe(executor.cancel(&request)).catch_unwind();
        answer.await.ok()
    };
    if !agent.runs_off_thread() {
        return watched(answer, agent, poll_max).await;
    }
    let turn = agent.cancels.clone().acquire_owned().await.ok()?;
    off_thread(answer, turn).await.ok().flatten()
}

fn not_cancelable(task_id: &Arc<str>, reason: &str) -> Error {
    Error::new(
        Kind::TaskNotCancelable,
        format!("the task can't be canceled: {reason}"),
    )
    .with("taskId", &**task_id)
}

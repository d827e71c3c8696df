//! Tasks that nobody in this process has asked for: those whose lease ran out, and those that waited too long.

use std::sync::Arc;

use super::Executions;
use super::command::{Answer, Command};
use super::leases::Held;
use crate::agent::{Agent, Place, Recovery};
use crate::context::CallContext;
use crate::error::Error;
use crate::fault;
use crate::pb::Task;
use crate::repository::{Interrupted, Lapsed, StoredTask};
use crate::task::is_terminal;

/// A task that was taken over, and what is to become of it.
#[derive(Debug)]
pub(super) struct TakenOver {
    pub(super) stored: StoredTask,
    pub(super) lease: Held,
    pub(super) fate: Fate,
}

/// What becomes of a task that was taken over.
#[derive(Debug)]
pub(super) enum Fate {
    /// The agent begins, again or at last.
    Run(Place),
    /// It fails with this reason.
    Fail(String),
}

impl Executions {
    /// Takes up a task whose lease ran out: runs or fails it, as its agent says. A task that still waited for a free
    /// execution runs in any case. `false` if it was left alone: it is held here or by somebody else, or there is no
    /// room for it now.
    ///
    /// # Errors
    /// As the repository's.
    pub async fn recover(
        &self,
        agent: &Arc<Agent>,
        left: &Lapsed,
        call: &CallContext,
    ) -> Result<bool, Error> {
        let shared = &self.0;
        if shared.leases.holds(&left.task_id) {
            return Ok(false);
        }
        let fate = match reason_to_fail(agent, left.attempt) {
            Some(reason) => Fate::Fail(reason),
            None => match agent.slots.enter(&left.scope.owner) {
                Ok(place) => Fate::Run(place),
                Err(_) => return Ok(false),
            },
        };
        if !shared.repository.take_over(left, shared.settings.lease).await? {
            return Ok(false);
        }
        fault::point("lease_acquired");
        let task_id: Arc<str> = Arc::from(left.task_id.as_str());
        let stored = shared.repository.get(&left.scope, &task_id).await?;
        let stored = stored.ok_or_else(|| Error::task_not_found(&task_id))?;
        if stored.epoch != left.epoch + 1 {
            // The answer took so long that the lease ran out again, and somebody else has the task.
            return Ok(false);
        }
        let lease = shared.leases.hold(&task_id, stored.epoch);
        let taken = Box::new(TakenOver { stored, lease, fate });
        let call = Box::new(call.clone());
        self.ask(agent, &left.scope, &task_id, |reply| Command::Recover {
            call,
            taken,
            reply,
        })
        .await
        .map(|_| true)
    }

    /// Fails a task that has waited for its caller longer than its agent allows. `false` if it was left alone: it goes on
    /// by now, or its execution has not returned yet.
    ///
    /// # Errors
    /// As the repository's.
    pub async fn expire(&self, agent: &Arc<Agent>, waiting: &Interrupted) -> Result<bool, Error> {
        let task_id = Arc::from(waiting.task_id.as_str());
        let since_ms = waiting.status_ms;
        let answer = self.ask(agent, &waiting.scope, &task_id, |reply| Command::Expire {
            since_ms,
            reply,
        });
        let ended = |task: &Task| {
            task.status
                .as_ref()
                .is_some_and(|status| is_terminal(status.state()))
        };
        Ok(matches!(answer.await?, Answer::Task(task, _) if ended(&task)))
    }
}

/// Why the agent can't begin again, if it can't.
fn reason_to_fail(agent: &Agent, attempt: u32) -> Option<String> {
    let max = agent.options.attempts_max;
    match agent.executor.recovery() {
        // It has never begun.
        _ if attempt == 0 => None,
        Recovery::Fail => {
            Some("the server stopped while the agent was working, and the agent can't start again".to_owned())
        }
        Recovery::Restart if attempt >= max => Some(format!(
            "the server stopped in each of {attempt} attempts of the agent, the limit (attempts_max)"
        )),
        Recovery::Restart => None,
    }
}

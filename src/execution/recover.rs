//! Tasks that nobody in this process has asked for: those whose lease ran out, and those that waited too long.

use std::sync::Arc;

use super::Executions;
use super::command::{Answer, Command};
use super::executions::Shared;
use super::leases::Held;
use crate::agent::{Agent, Place, Recovery};
use crate::context::{CallContext, Principal};
use crate::error::Error;
use crate::fault;
use crate::pb::Task;
use crate::repository::{self, Interrupted, Lapsed, StoredTask};
use crate::task::{is_terminal, new_id};

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

/// The outcome of an attempt to take a task over.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is held here now.
    Taken(Box<TakenOver>),
    /// Nobody holds it; this is how it stands.
    Free(Box<StoredTask>),
    /// Somebody holds it, here or elsewhere.
    Held,
    /// There is no room for it here; this is what a caller is told.
    NoRoom(Error),
    /// It can't be read, and has been given up.
    Damaged(Error),
}

impl Executions {
    /// Takes up a task whose lease ran out: runs or fails it, as its agent says. A task that still waited for a free
    /// execution runs in any case. The agent begins again with the message that it was at; those behind it wait again.
    /// `false` if the task was left alone: it is held here or by somebody else, there is no room for it now, or it is
    /// damaged. A damaged one loses its lease, so that it is not found again, and stays as it is until it is restored.
    ///
    /// # Errors
    /// As the repository's.
    pub async fn recover(
        &self,
        agent: &Arc<Agent>,
        left: &Lapsed,
        call: &CallContext,
    ) -> Result<bool, Error> {
        let Claim::Taken(taken) = self.claim(agent, left).await? else {
            return Ok(false);
        };
        let task_id: Arc<str> = Arc::from(left.task_id.as_str());
        let call = Box::new(call.clone());
        self.ask(agent, &left.scope, &task_id, |reply| Command::Recover {
            call,
            taken,
            reply,
        })
        .await
        .map(|_| true)
    }

    /// Takes a task over if its lease ran out; how it stands if nobody holds it any more.
    pub(super) async fn claim_or_look(&self, agent: &Agent, left: &Lapsed) -> Result<Claim, Error> {
        let claim = self.claim(agent, left).await?;
        if !matches!(claim, Claim::Held) {
            return Ok(claim);
        }
        let stored = self.0.repository.get(&left.scope, &left.task_id).await?;
        let stored = stored.ok_or_else(|| Error::task_not_found(&left.task_id))?;
        Ok(if stored.held {
            Claim::Held
        } else {
            Claim::Free(Box::new(stored))
        })
    }

    async fn claim(&self, agent: &Agent, left: &Lapsed) -> Result<Claim, Error> {
        let shared = &self.0;
        if shared.leases.holds(&left.task_id) {
            return Ok(Claim::Held);
        }
        let place = match reason_to_fail(agent, left.attempt) {
            Some(_) => None,
            None => match Shared::place(agent, &left.scope.owner) {
                Ok(place) => Some(place),
                Err(error) => return Ok(Claim::NoRoom(error)),
            },
        };
        if !shared.repository.take_over(left, shared.settings.lease).await? {
            return Ok(Claim::Held);
        }
        fault::point("lease_acquired");
        let task_id: Arc<str> = Arc::from(left.task_id.as_str());
        let stored = match shared.repository.get(&left.scope, &task_id).await {
            Err(error @ repository::Error::Corrupt { .. }) => return Ok(self.give_up(left, error).await),
            stored => stored?.ok_or_else(|| Error::task_not_found(&task_id))?,
        };
        if stored.epoch != left.epoch + 1 {
            // The answer took so long that the lease ran out again, and somebody else has the task.
            return Ok(Claim::Held);
        }
        let lease = shared.leases.hold(&task_id, stored.epoch);
        // Its holder may have gone on between the look and the end of its lease.
        let fate = match (reason_to_fail(agent, stored.attempt), place) {
            (Some(reason), _) => Fate::Fail(reason),
            (None, Some(place)) => Fate::Run(place),
            (None, None) => Fate::Run(agent.slots.enter_anyway(&left.scope.owner)),
        };
        Ok(Claim::Taken(Box::new(TakenOver { stored, lease, fate })))
    }

    /// Nothing can be done for a task that can't be read, and trying it in each round would only raise its epoch.
    async fn give_up(&self, left: &Lapsed, error: repository::Error) -> Claim {
        tracing::error!(
            agent = %left.scope.agent,
            task.id = %left.task_id,
            %error,
            "an unfinished task is damaged; it is given up and stays as it is until it is restored from a backup"
        );
        if let Err(error) = self.0.repository.release(&left.task_id, left.epoch + 1).await {
            tracing::warn!(task.id = %left.task_id, %error, "the lease of a damaged task could not be ended; the next round tries again");
        }
        Claim::Damaged(error.into())
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

/// A call that nobody made: by it a task goes on whose callers are gone.
pub(super) fn call_of(owner: &Principal) -> CallContext {
    CallContext::detached(owner.clone(), Arc::from(new_id()))
}

//! The actor and a task that another process worked on: it is taken over first, and then goes on where it stood.

use std::collections::VecDeque;
use std::pin::Pin;

use super::Actor;
use super::places::Waiting;
use crate::agent::{Place, RequestContext};
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::command::{Command, Incoming, Permits};
use crate::execution::outcome::fail;
use crate::execution::recover::{Claim, Fate, TakenOver, call_of};
use crate::execution::writer::{Writer, is_callers};
use crate::repository::{self, Lapsed, StoredTask};

/// An attempt to take the task over, and what waits for its outcome.
pub(super) struct Claiming {
    pub(super) outcome: Pin<Box<dyn Future<Output = Result<Claim, Error>> + Send>>,
    command: Command,
}

impl Actor {
    /// True if another process holds the task, or died while it did.
    pub(super) fn is_foreign(&self) -> bool {
        self.lease.is_none() && self.writer.fence().is_foreign()
    }

    /// Tries to take the task over before `command` is served. Whether its holder is dead says the database.
    pub(super) fn begin_claim(&mut self, command: Command) {
        let left = Lapsed {
            scope: self.scope.clone(),
            task_id: self.writer.task_id().to_string(),
            epoch: self.writer.fence().epoch_found(),
            attempt: self.writer.fence().attempt(),
            lease_until_ms: 0,
        };
        let (executions, agent) = (self.executions.clone(), self.agent.clone());
        self.claiming = Some(Claiming {
            outcome: Box::pin(async move { executions.claim_or_look(&agent, &left).await }),
            command,
        });
    }

    /// What waited is served as if the sweep had come first, or told to come again.
    pub(super) fn claimed(&mut self, outcome: Result<Claim, Error>) {
        let Some(Claiming { command, .. }) = self.claiming.take() else {
            return;
        };
        let ready = match outcome {
            Ok(Claim::Taken(taken)) => self.recover(&call_of(&self.scope.owner), *taken),
            Ok(Claim::Free(stored)) => {
                self.writer = self.writer_of(*stored);
                Ok(())
            }
            Ok(Claim::Held) => Err(Error::unavailable(
                "another process works on this task; try again",
            )),
            Ok(Claim::NoRoom(error)) | Ok(Claim::Damaged(error)) | Err(error) => Err(error),
        };
        match ready {
            Ok(()) => self.command(Some(command)),
            Err(error) => command.refuse(error),
        }
    }

    fn writer_of(&self, stored: StoredTask) -> Writer {
        let shared = self.shared();
        Writer::load(self.scope.clone(), stored, shared.clock.clone(), &shared.settings)
    }

    /// Takes up what another process left: the task says that somebody works, and nobody does.
    pub(super) fn recover(&mut self, call: &CallContext, taken: TakenOver) -> Result<(), Error> {
        if self.work.is_busy() || self.is_writing() {
            // Whatever it does, the take-over has fenced it off.
            return Err(repository::Error::Stale.into());
        }
        let shared = self.executions.0.clone();
        self.writer = Writer::resume(
            self.scope.clone(),
            taken.stored,
            shared.clock.clone(),
            &shared.settings,
        );
        self.lease = Some(taken.lease);
        match taken.fate {
            Fate::Run(place) => self.run_again(call, place),
            Fate::Fail(reason) => {
                tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), reason, "interrupted execution failed");
                fail(&mut self.writer, &reason);
            }
        }
        Ok(())
    }

    /// Begins once more with the message that the agent was at. Those behind it were accepted, so they wait again,
    /// however many may.
    fn run_again(&mut self, call: &CallContext, place: Place) {
        let mut unfinished = self.requests_from(self.writer.fence().message(), call);
        let request = unfinished.pop_front();
        let request = request.unwrap_or_else(|| self.request(nothing(call), false));
        self.work.inbox = unfinished;
        match place {
            Place::Free(slot) => self.begin_attempt(request, slot),
            Place::Queued(ticket) => self.work.waiting = Some(Waiting { ticket, request }),
        }
    }

    /// The request that the agent is at, as far as the history tells.
    pub(super) fn present_request(&self, call: &CallContext) -> RequestContext {
        let mut requests = self.requests_from(self.writer.fence().message(), call);
        let present = requests.pop_front();
        present.unwrap_or_else(|| self.request(nothing(call), false))
    }

    /// The caller's messages from number `first` on, as requests; what came along with them is not kept.
    fn requests_from(&self, first: u32, call: &CallContext) -> VecDeque<RequestContext> {
        let skipped = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let history = self.writer.cell().lock().history.clone();
        let messages = history.into_iter().filter(is_callers).enumerate();
        let requests = messages.skip(skipped).map(|(number, message)| {
            let incoming = Incoming {
                message,
                ..nothing(call)
            };
            self.request(incoming, number > 0)
        });
        requests.collect()
    }
}

/// A message without words, and nothing with it.
fn nothing(call: &CallContext) -> Incoming {
    Incoming {
        message: crate::pb::Message::default(),
        configuration: None,
        metadata: None,
        call: call.clone(),
        key: None,
        push_configs: Vec::new(),
        permits: Permits::default(),
    }
}

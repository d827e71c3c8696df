//! The actor in line: a message waits for its owner's turn.

use super::Actor;
use super::turns::working;
use crate::agent::{Place, RequestContext, Slot, Ticket};
use crate::audit::Author;
use crate::error::Error;
use crate::execution::outcome::agent_message;

/// A message that waits for a free execution.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) request: RequestContext,
}

impl Actor {
    /// Begins to work on a message that nobody has worked on, now or when the owner's turn comes.
    pub(super) fn take_place(&mut self, request: RequestContext, place: Place) {
        // Behind it are those in the inbox, and no others.
        let behind = u32::try_from(self.work.inbox.len()).unwrap_or(u32::MAX);
        let message = self.writer.received().saturating_sub(behind);
        match place {
            Place::Free(slot) => {
                self.writer.set_attempt(message, 1);
                self.begin_turn(request, slot);
            }
            Place::Queued(ticket) => {
                self.writer.set_attempt(message, 0);
                self.work.waiting = Some(Waiting { ticket, request });
            }
        }
    }

    /// The turn of the message that waited has come.
    pub(super) fn slot_given(&mut self, slot: Slot) {
        if let Some(waiting) = self.work.waiting.take() {
            self.begin_attempt(waiting.request, slot);
        }
    }

    /// The process stops. A task that waits in line is left to the next process, which runs it: begun now, it would be
    /// cut off in the middle.
    pub(super) fn leave_line(&mut self) {
        self.work.end();
        self.left_line = true;
        self.callers.answer_all(|| {
            Err(Error::unavailable(
                "the server is shutting down; the task waits and runs when the server is back",
            ))
        });
    }

    /// Lets another process have the task at once.
    pub(super) async fn hand_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if let Err(error) = lease.hand_back(&self.executions.0.repository).await {
            tracing::warn!(task.id = %self.writer.task_id(), %error, "a lease could not be handed back; it runs out by itself");
        }
    }

    /// True if the task has waited for a free execution since it was made.
    pub(super) fn has_never_run(&self) -> bool {
        let first = |waiting: &Waiting| !waiting.request.follow_up && self.writer.fence().attempt() == 0;
        self.work.waiting.as_ref().is_some_and(first)
    }

    /// Lets the agent begin once more. That it does is committed first, as an event of its own: an agent that kills its
    /// process each time must not do so for ever.
    pub(super) fn begin_attempt(&mut self, request: RequestContext, slot: Slot) {
        let attempt = self.writer.fence().attempt() + 1;
        let words = (attempt > 1).then(|| {
            tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), attempt, "execution restarted");
            agent_message(&self.writer, "the server restarted and the agent begins again")
        });
        self.writer.set_attempt(self.writer.fence().message(), attempt);
        match self.writer.update(working(words), &Author::Runtime) {
            Ok(()) => {
                self.work.gated = true;
                self.begin_turn(request, slot);
            }
            Err(fault) => self.broken(fault),
        }
    }
}

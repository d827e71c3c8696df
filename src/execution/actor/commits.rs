//! The actor and the repository: what is pending is committed, and whoever waits is answered.

use super::Actor;
use crate::bus::Doorbell;
use crate::error::Error;
use crate::execution::command::Answer;
use crate::execution::commit::Commit;
use crate::execution::executions::of_write;
use crate::execution::outcome::invalid_response;
use crate::execution::trail::Trail;
use crate::fault;
use crate::repository;
use crate::task::{is_settled, is_terminal};

impl Actor {
    pub(super) fn begin_commit(&mut self) {
        // An agent that may answer with a direct message decides by its first update whether there is a task at all.
        let undecided = self.writer.is_unstored()
            && self.writer.pending().len() == 1
            && self.work.turn.is_some()
            && !self.work.gated
            && self.agent.executor.may_reply();
        if self.commit.is_some() || self.lost || self.direct.is_some() || undecided {
            return;
        }
        let wanted = !self.callers.accepted.is_empty();
        let next = self.next_message();
        if let Some(write) = self.writer.take_write(next) {
            let trail = Trail::of(&self.executions.0.audit, &write, self.writer.take_changes());
            let task = wanted.then(|| Box::new(self.writer.cell().lock().clone()));
            let accepted = std::mem::take(&mut self.callers.accepted);
            // Whatever has come before this is committed already or goes along.
            let repeated = std::mem::take(&mut self.callers.repeated);
            let mut commit = Commit::start(&self.executions.0.repository, write, trail, accepted, task);
            commit.repeated = repeated;
            if self.lease.is_none() && commit.is_held() {
                self.lease = Some(self.executions.0.leases.claim(self.writer.task_id()));
            }
            self.commit = Some(commit);
            self.has_woken = true;
        }
    }

    pub(super) fn committed(&mut self) {
        let Some(commit) = self.commit.take() else { return };
        self.degraded = false;
        self.opening = None;
        // What came while the commit was on its way waits for the next one.
        self.work.gated &= !self.writer.pending().is_empty();
        let generation = commit.generation();
        fault::point("after_commit_before_notify");
        if let Some(live) = &self.live {
            live.keep(commit.events());
        }
        self.keep_lease(commit.is_held());
        let task_id = self.writer.task_id().clone();
        for reply in commit.repeated {
            let _ = reply.send(Ok(Answer::Known(task_id.to_string())));
        }
        self.shared().bus.publish(&Doorbell { task_id, generation });
        if let Some(task) = commit.task {
            fault::point("after_commit_before_reply");
            for reply in commit.accepted {
                let _ = reply.send(Ok(Answer::Task(task.clone(), generation)));
            }
        }
    }

    pub(super) fn not_committed(&mut self, error: repository::Error) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        let repository = self.executions.0.repository.clone();
        if !matches!(error, repository::Error::KeyTaken(_)) {
            self.callers.repeated.append(&mut commit.repeated);
        }
        match error {
            repository::Error::KeyTaken(task_id)
                if commit.creates() || (self.work.gated && commit.is_single()) =>
            {
                // Nothing but the message would have been written, and nothing has run for it.
                // Nobody waited before the message came, so its sender is the first who waits.
                let sender = if commit.accepted.is_empty() {
                    self.callers.settlers.len().min(1)
                } else {
                    0
                };
                let senders = self
                    .callers
                    .settlers
                    .drain(..sender)
                    .chain(commit.accepted.drain(..));
                let senders = senders.chain(commit.repeated.drain(..));
                for reply in senders.chain(self.callers.repeated.drain(..)) {
                    let _ = reply.send(Ok(Answer::Known(task_id.clone())));
                }
                if commit.creates() {
                    self.lose(|| Ok(Answer::Known(task_id.clone())));
                } else {
                    // Others asked in the meantime, and theirs is not this key: they have to ask again.
                    self.lose(|| Err(repository::Error::Stale.into()));
                }
            }
            repository::Error::KeyTaken(_) => self.commit = Some(commit.without_key(&repository)),
            repository::Error::Stale => {
                tracing::warn!(task.id = %self.writer.task_id(), "another writer has taken the task over");
                for reply in commit.accepted.drain(..).chain(self.callers.accepted.drain(..)) {
                    let _ = reply.send(Err(repository::Error::Stale.into()));
                }
                self.lose(|| Err(taken_over()));
            }
            error @ repository::Error::Unavailable(_) => {
                self.callers.accepted.append(&mut commit.accepted);
                self.degraded = true;
                let error = of_write(error);
                self.callers.answer_all(|| Err(error.clone()));
                self.commit = Some(commit.retry(&repository));
            }
            error => self.refused(commit, error),
        }
    }

    /// The message that the agent gets next, when it has said its last word to the one before and has not returned yet.
    fn next_message(&self) -> Option<u32> {
        let settled = self.work.turn.as_ref().is_some_and(|turn| turn.settled);
        let waiting = u32::try_from(self.work.inbox.len()).unwrap_or(u32::MAX);
        (settled && waiting > 0).then(|| self.writer.received() + 1 - waiting)
    }

    /// A task is held from the write that sets it in motion to the one that settles it.
    fn keep_lease(&mut self, held: bool) {
        if !held {
            self.lease = None;
        } else if let Some(lease) = &self.lease {
            lease.begin(self.writer.fence().epoch());
        }
    }

    /// The database refused to renew the lease: somebody else has taken the task over.
    pub(super) fn lease_lost(&mut self) {
        tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), "the lease is lost; the execution is given up");
        if let Some(mut commit) = self.commit.take() {
            self.callers.take_back(&mut commit);
        }
        self.lose(|| Err(taken_over()));
    }

    /// The task is not ours: stop, and say so to everybody who waits.
    pub(super) fn lose(&mut self, answer: impl Fn() -> Result<Answer, Error>) {
        self.lost = true;
        self.work.end();
        self.cancel = None;
        self.callers.answer_all(answer);
    }

    /// Answers those who wait for the end, once all of it is committed.
    pub(super) fn answer_settled(&mut self) {
        let state = self.writer.state();
        if self.is_writing() || !is_settled(state) || !self.work.inbox.is_empty() || self.writer.is_unstored()
        {
            return;
        }
        for reply in std::mem::take(&mut self.callers.settlers) {
            let answer = match &self.fault {
                Some(fault) => Err(invalid_response(self.writer.task_id(), fault)),
                None => Ok(self.answer()),
            };
            let _ = reply.send(answer);
        }
        if is_terminal(state) {
            for reply in std::mem::take(&mut self.callers.cancelers) {
                let _ = reply.send(self.cancel_result());
            }
            for (reply, refusal) in self.callers.too_late.drain(..) {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    pub(super) fn answer(&self) -> Answer {
        Answer::Task(Box::new(self.writer.cell().lock().clone()), self.writer.written())
    }
}

/// What those are told who may or may not have been heard.
fn taken_over() -> Error {
    Error::unavailable(
        "another process has taken the task over; get the task to see whether the request took effect, or repeat it \
         under its idempotency key",
    )
}

//! Those who wait for something that happens to the task.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Error;
use crate::execution::command::{Answer, Incoming, Reply, Wait};
use crate::execution::commit::Commit;
use crate::repository::IdempotencyKey;

/// Everybody is answered once, by what they wait for or by what keeps it from coming.
#[derive(Default)]
pub(super) struct Callers {
    /// Until their message, or whatever else they asked for, is committed.
    pub(super) accepted: Vec<Reply>,
    /// Until the task is terminal or interrupted.
    pub(super) settlers: Vec<Reply>,
    /// Until the task is canceled, or has ended otherwise.
    pub(super) cancelers: Vec<Reply>,
    /// Who sent a message under a key that has been taken already.
    pub(super) repeated: Vec<Reply>,
    /// Whose message came behind an end that is not committed yet: they are refused when it is.
    pub(super) too_late: Vec<(Reply, Error)>,
    /// The idempotency keys of the messages that this actor took.
    keys: HashSet<Arc<str>>,
}

impl Callers {
    pub(super) fn wait(&mut self, wait: Wait, reply: Reply) {
        match wait {
            Wait::Settled => self.settlers.push(reply),
            Wait::Accepted => self.accepted.push(reply),
        }
    }

    /// Notes the keys of a message that was taken.
    pub(super) fn know(&mut self, keys: &[IdempotencyKey]) {
        self.keys.extend(keys.iter().map(|key| key.key.clone()));
    }

    /// True if a message with this one's key was taken before.
    pub(super) fn know_of(&self, incoming: &Incoming) -> bool {
        let key = incoming.key.as_ref();
        key.is_some_and(|key| self.keys.contains(&key.key))
    }

    /// Has those wait on whose commit came to nothing.
    pub(super) fn take_back(&mut self, commit: &mut Commit) {
        self.accepted.append(&mut commit.accepted);
        self.repeated.append(&mut commit.repeated);
    }

    /// Answers everybody.
    pub(super) fn answer_all(&mut self, answer: impl Fn() -> Result<Answer, Error>) {
        let waiting = self.accepted.drain(..).chain(self.settlers.drain(..));
        let waiting = waiting
            .chain(self.cancelers.drain(..))
            .chain(self.repeated.drain(..))
            .chain(self.too_late.drain(..).map(|(reply, _)| reply));
        for reply in waiting {
            let _ = reply.send(answer());
        }
    }
}

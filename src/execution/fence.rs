//! What lets one writer of a task write and no other: its epoch, its lease, and the message and attempt that it is at.

use std::time::Duration;

use crate::pb::TaskState;
use crate::repository::{Lease, StoredTask};
use crate::task::is_settled;

#[derive(Debug)]
pub(super) struct Fence {
    expected_epoch: u64,
    epoch: u64,
    /// The row says that this writer holds the task.
    leased: bool,
    /// Somebody else held the task when it was read, and this writer has not written since.
    foreign: bool,
    lease: Duration,
    message: u32,
    attempt: u32,
}

/// What one write says of it.
pub(super) struct Claim {
    pub(super) expected_epoch: u64,
    pub(super) epoch: u64,
    pub(super) lease: Lease,
    pub(super) message: u32,
    pub(super) attempt: u32,
}

impl Fence {
    /// Of a task that is not stored yet.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            expected_epoch: 0,
            epoch: 1,
            leased: false,
            foreign: false,
            lease,
            message: 1,
            attempt: 1,
        }
    }

    /// Of a writer that takes the task over with its first write.
    pub(super) fn behind(stored: &StoredTask, lease: Duration) -> Self {
        Self {
            expected_epoch: stored.epoch,
            epoch: stored.epoch + 1,
            foreign: stored.held,
            message: stored.message,
            attempt: stored.attempt,
            ..Self::new(lease)
        }
    }

    /// From now on: the row has the epoch and the lease of this writer already.
    pub(super) fn is_taken_over(&mut self) {
        self.epoch = self.expected_epoch;
        self.leased = true;
        self.foreign = false;
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The epoch that the row has, as far as this writer knows.
    pub(super) fn epoch_found(&self) -> u64 {
        self.expected_epoch
    }

    /// True if the task is held by somebody else, as far as this writer knows.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Which of the caller's messages the agent works on, or begins with when its turn comes.
    pub(super) fn message(&self) -> u32 {
        self.message
    }

    /// How often the agent has begun to work on that message; 0 while it waits for its turn.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Counts with the next write.
    pub(super) fn set_attempt(&mut self, message: u32, attempt: u32) {
        (self.message, self.attempt) = (message, attempt);
    }

    /// What the next write says; `state` is the one behind it. A task that has settled needs no lease, unless a message
    /// waits that is `next` for the agent: nothing has been done for that one yet.
    pub(super) fn claim(&mut self, state: TaskState, next: Option<u32>) -> Claim {
        let runs = !is_settled(state) || next.is_some();
        self.foreign = false;
        let (message, attempt) = next.map_or((self.message, self.attempt), |next| (next, 0));
        let lease = match (runs, std::mem::replace(&mut self.leased, runs)) {
            (false, _) => Lease::Released,
            (true, true) => Lease::Kept,
            (true, false) => Lease::Held(self.lease),
        };
        Claim {
            expected_epoch: std::mem::replace(&mut self.expected_epoch, self.epoch),
            epoch: self.epoch,
            lease,
            message,
            attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::Task;

    const TTL: Duration = Duration::from_secs(1);

    #[test]
    fn a_task_is_held_from_its_first_move_to_its_rest() {
        let mut fence = Fence::new(TTL);
        let mut lease = |state| fence.claim(state, None).lease;
        assert_eq!(lease(TaskState::Submitted), Lease::Held(TTL));
        assert_eq!(lease(TaskState::Working), Lease::Kept);
        assert_eq!(lease(TaskState::InputRequired), Lease::Released);
        assert_eq!(lease(TaskState::Working), Lease::Held(TTL));
        assert_eq!(lease(TaskState::Completed), Lease::Released);
    }

    #[test]
    fn the_first_write_behind_another_writer_raises_the_epoch_once() {
        let stored = StoredTask {
            task: Task::default(),
            generation: 3,
            snapshot_generation: 0,
            epoch: 7,
            held: true,
            message: 4,
            attempt: 2,
        };
        let mut fence = Fence::behind(&stored, TTL);
        let epochs = |claim: Claim| (claim.expected_epoch, claim.epoch, claim.message, claim.attempt);
        assert!(fence.is_foreign());
        assert_eq!(epochs(fence.claim(TaskState::Working, None)), (7, 8, 4, 2));
        assert!(!fence.is_foreign());
        fence.set_attempt(5, 3);
        assert_eq!(epochs(fence.claim(TaskState::Working, None)), (8, 8, 5, 3));

        let mut taken = Fence::behind(&stored, TTL);
        taken.is_taken_over();
        assert!(!taken.is_foreign());
        let claim = taken.claim(TaskState::Working, None);
        assert_eq!(claim.lease, Lease::Kept);
        assert_eq!(epochs(claim), (7, 7, 4, 2));
    }

    /// A fault once: between the agent's last word to one message and its first to the next, nobody held the task.
    #[test]
    fn a_task_is_held_while_a_message_waits() {
        let mut fence = Fence::new(TTL);
        fence.claim(TaskState::Working, None);
        let claim = fence.claim(TaskState::InputRequired, Some(2));
        assert_eq!((claim.lease, claim.message, claim.attempt), (Lease::Kept, 2, 0));
        fence.set_attempt(2, 1);
        let claim = fence.claim(TaskState::InputRequired, None);
        assert_eq!(
            (claim.lease, claim.message, claim.attempt),
            (Lease::Released, 2, 1)
        );
    }
}

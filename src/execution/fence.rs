//! What lets one writer of a task write and no other: its epoch, its lease, and the attempt that it is at.

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
    lease: Duration,
    attempt: u32,
}

/// What one write says of it.
pub(super) struct Claim {
    pub(super) expected_epoch: u64,
    pub(super) epoch: u64,
    pub(super) lease: Lease,
    pub(super) attempt: u32,
}

impl Fence {
    /// Of a task that is not stored yet.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            expected_epoch: 0,
            epoch: 1,
            leased: false,
            lease,
            attempt: 1,
        }
    }

    /// Of a writer that takes the task over with its first write.
    pub(super) fn behind(stored: &StoredTask, lease: Duration) -> Self {
        Self {
            expected_epoch: stored.epoch,
            epoch: stored.epoch + 1,
            attempt: stored.attempt,
            ..Self::new(lease)
        }
    }

    /// From now on: the row has the epoch and the lease of this writer already.
    pub(super) fn is_taken_over(&mut self) {
        self.epoch = self.expected_epoch;
        self.leased = true;
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How often the agent has begun to work on the newest message; 0 while it waits for its turn.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Counts with the next write.
    pub(super) fn set_attempt(&mut self, attempt: u32) {
        self.attempt = attempt;
    }

    /// What the next write says; `state` is the one behind it. A task that has settled needs no lease.
    pub(super) fn claim(&mut self, state: TaskState) -> Claim {
        let runs = !is_settled(state);
        let lease = match (runs, std::mem::replace(&mut self.leased, runs)) {
            (false, _) => Lease::Released,
            (true, true) => Lease::Kept,
            (true, false) => Lease::Held(self.lease),
        };
        Claim {
            expected_epoch: std::mem::replace(&mut self.expected_epoch, self.epoch),
            epoch: self.epoch,
            lease,
            attempt: self.attempt,
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
        let mut lease = |state| fence.claim(state).lease;
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
            attempt: 2,
        };
        let mut fence = Fence::behind(&stored, TTL);
        let epochs = |claim: Claim| (claim.expected_epoch, claim.epoch, claim.attempt);
        assert_eq!(epochs(fence.claim(TaskState::Working)), (7, 8, 2));
        fence.set_attempt(3);
        assert_eq!(epochs(fence.claim(TaskState::Working)), (8, 8, 3));

        let mut taken = Fence::behind(&stored, TTL);
        taken.is_taken_over();
        let claim = taken.claim(TaskState::Working);
        assert_eq!(claim.lease, Lease::Kept);
        assert_eq!(epochs(claim), (7, 7, 2));
    }
}

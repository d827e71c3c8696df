//! When a task is due for a snapshot.

/// Behind this many events a snapshot is made when the task ends: ended tasks are read often and written never.
const SNAPSHOT_AT_END_EVENTS: usize = 16;

/// What has come since the newest snapshot. A snapshot is due when the tail weighs as much as the snapshot itself, so
/// that the cost of snapshots stays proportional to what was written, however long the history.
#[derive(Debug, Default)]
pub(super) struct Tail {
    events: usize,
    bytes: usize,
    snapshot_generation: u64,
    snapshot_bytes: usize,
}

impl Tail {
    /// Nothing yet, behind a snapshot of this generation and size.
    pub(super) fn behind(snapshot_generation: u64, snapshot_bytes: usize) -> Self {
        Self {
            events: 0,
            bytes: 0,
            snapshot_generation,
            snapshot_bytes,
        }
    }

    /// One event more.
    pub(super) fn grows(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
    }

    /// The newest event brings something along.
    pub(super) fn weighs(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether it is time for another one; `every` is the least number of events of a task that goes on.
    pub(super) fn is_due(&self, every: usize, has_ended: bool) -> bool {
        let is_heavy = self.events >= every && self.bytes >= self.snapshot_bytes;
        is_heavy || (has_ended && self.events >= SNAPSHOT_AT_END_EVENTS)
    }

    /// The generation of the newest snapshot; 0 if there is none.
    pub(super) fn snapshot_generation(&self) -> u64 {
        self.snapshot_generation
    }
}

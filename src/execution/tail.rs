//! When a task is due for a snapshot.

/// Behind this many events a snapshot is made when the task ends: ended tasks are read often and written never.
const SNAPSHOT_AT_END_EVENTS: usize = 16;

/// Behind this many events their number counts beside their bytes.
const MANY_EVENTS: usize = 256;

/// What an event weighs then at least. Each is a row to be read, which costs as much as so many bytes of a snapshot, or
/// a little less: so the tail never costs more than a fraction of what decoding the task costs.
const ROW_BYTES: usize = 2_048;

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
        let is_heavy = self.events >= every && self.weight() >= self.snapshot_bytes;
        is_heavy || (has_ended && self.events >= SNAPSHOT_AT_END_EVENTS)
    }

    fn weight(&self) -> usize {
        if self.events >= MANY_EVENTS {
            self.bytes.max(self.events * ROW_BYTES)
        } else {
            self.bytes
        }
    }

    /// The generation of the newest snapshot; 0 if there is none.
    pub(super) fn snapshot_generation(&self) -> u64 {
        self.snapshot_generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many events of so many bytes come behind a snapshot of so many before another one is due.
    fn events_behind(snapshot_bytes: usize, event_bytes: usize) -> usize {
        let mut tail = Tail::behind(1, snapshot_bytes);
        let mut events = 0;
        while !tail.is_due(64, false) {
            tail.grows(event_bytes);
            events += 1;
        }
        events
    }

    #[test]
    fn a_snapshot_is_due_when_the_tail_is_as_heavy() {
        assert_eq!(events_behind(0, 10), 64, "never before the least number");
        assert_eq!(events_behind(10_000, 100), 100);
        assert_eq!(events_behind(1_000_000, 100_000), 64);
    }

    #[test]
    fn many_small_events_weigh_what_their_rows_cost() {
        assert_eq!(events_behind(100_000, 10), MANY_EVENTS);
        assert_eq!(events_behind(4_096_000, 10), 2_000);
        assert_eq!(
            events_behind(4_096_000, 4_096),
            1_000,
            "larger ones weigh what they are"
        );
    }

    #[test]
    fn a_task_that_ends_gets_one_sooner() {
        let mut tail = Tail::behind(1, 1_000_000);
        for _ in 0..SNAPSHOT_AT_END_EVENTS - 1 {
            tail.grows(1);
        }
        assert!(!tail.is_due(64, true));
        tail.grows(1);
        assert!(tail.is_due(64, true) && !tail.is_due(64, false));
    }
}

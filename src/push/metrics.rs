//! What was delivered, what was not, and how long receivers took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes of latency, in milliseconds; one more class is for everything above.
pub const LATENCY_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// What can become of an attempt, or of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Delivered,
    Unwanted,
    Retried,
    Refused,
    Dead,
    Ended,
    Postponed,
    Lost,
}

/// Counters of one process, since its start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counts: [AtomicU64; 8],
    latencies: [AtomicU64; LATENCY_MS.len() + 1],
    under_way: AtomicU64,
    hosts_left_alone: AtomicU64,
    waiting: AtomicU64,
    dead_letters: AtomicU64,
    overdue_ms: AtomicU64,
}

/// What was done since the process started, and what there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushReport {
    /// Deliveries that receivers have taken.
    pub delivered: u64,
    /// Events that their configuration does not want.
    pub unwanted: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Attempts that the guard of requests that go out did not allow; they are among those that failed.
    pub refused: u64,
    /// Deliveries that became dead letters.
    pub dead: u64,
    /// Configurations that their receivers ended by 410.
    pub ended: u64,
    /// Streams that were put off without an attempt.
    pub postponed: u64,
    /// Settlements that came too late: the claim had run out, or its configuration was changed.
    pub lost: u64,
    /// Answers by how long they took: classes up to each of [`LATENCY_MS`], and one above.
    pub latencies: [u64; LATENCY_MS.len() + 1],
    /// Streams that are being sent now.
    pub under_way: u64,
    /// Hosts that are left alone now, each counted for every owner.
    pub hosts_left_alone: u64,
    /// Deliveries that waited when that was counted last.
    pub waiting: u64,
    /// Dead letters, likewise.
    pub dead_letters: u64,
    /// How long the oldest due stream had been due then, in milliseconds.
    pub overdue_ms: u64,
}

impl Metrics {
    pub(super) fn count(&self, what: Count) {
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self, latency: Duration) {
        let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let class = LATENCY_MS.partition_point(|bound| *bound < ms);
        self.latencies[class].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn under_way(&self, streams: usize, hosts_left_alone: usize) {
        self.under_way.store(streams as u64, Ordering::Relaxed);
        self.hosts_left_alone
            .store(hosts_left_alone as u64, Ordering::Relaxed);
    }

    pub(super) fn backlog(&self, backlog: crate::repository::Backlog) {
        self.waiting.store(backlog.waiting, Ordering::Relaxed);
        self.dead_letters.store(backlog.dead, Ordering::Relaxed);
        self.overdue_ms.store(backlog.overdue_ms, Ordering::Relaxed);
    }

    pub(super) fn report(&self) -> PushReport {
        let counted = |what: Count| self.counts[what as usize].load(Ordering::Relaxed);
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        PushReport {
            delivered: counted(Count::Delivered),
            unwanted: counted(Count::Unwanted),
            retried: counted(Count::Retried),
            refused: counted(Count::Refused),
            dead: counted(Count::Dead),
            ended: counted(Count::Ended),
            postponed: counted(Count::Postponed),
            lost: counted(Count::Lost),
            latencies: self.latencies.each_ref().map(load),
            under_way: load(&self.under_way),
            hosts_left_alone: load(&self.hosts_left_alone),
            waiting: load(&self.waiting),
            dead_letters: load(&self.dead_letters),
            overdue_ms: load(&self.overdue_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_where_it_belongs() {
        let metrics = Metrics::default();
        for (what, times) in [
            (Count::Delivered, 1),
            (Count::Unwanted, 2),
            (Count::Retried, 3),
            (Count::Refused, 4),
            (Count::Dead, 5),
            (Count::Ended, 6),
            (Count::Postponed, 7),
            (Count::Lost, 8),
        ] {
            for _ in 0..times {
                metrics.count(what);
            }
        }
        for ms in [0, 5, 6, 10_000, 10_001] {
            metrics.took(Duration::from_millis(ms));
        }
        metrics.under_way(9, 10);
        metrics.backlog(crate::repository::Backlog {
            waiting: 11,
            dead: 12,
            overdue_ms: 13,
        });
        let expected = PushReport {
            delivered: 1,
            unwanted: 2,
            retried: 3,
            refused: 4,
            dead: 5,
            ended: 6,
            postponed: 7,
            lost: 8,
            latencies: [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
            under_way: 9,
            hosts_left_alone: 10,
            waiting: 11,
            dead_letters: 12,
            overdue_ms: 13,
        };
        assert_eq!(metrics.report(), expected);
    }
}

//! What the layers did: calls, errors, repetitions, and how long agents took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::client::Error;

/// Upper bounds of the classes of latency, in milliseconds; one more class is for everything above.
pub const LATENCY_MS: [u64; 13] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
];

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Count {
    Called,
    Retried,
    Hedged,
    Opened,
    Resumed,
}

/// Counters of the calls of one client, or of all that share them: a clone counts into the same ones.
#[derive(Clone, Debug, Default)]
pub struct ClientMetrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    counts: [AtomicU64; 5],
    latencies: [AtomicU64; LATENCY_MS.len() + 1],
    in_flight: AtomicU64,
    /// Few names, all of them ours.
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

/// What was done since the counters were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientReport {
    /// Calls, with all their attempts; taking up a stream again is one.
    pub calls: u64,
    /// Calls that failed, by [`Error::label`].
    pub errors: BTreeMap<&'static str, u64>,
    /// Attempts behind the first of a call.
    pub retries: u64,
    /// Reads that were made a second time beside the first.
    pub hedges: u64,
    /// Breakers that opened.
    pub breaker_openings: u64,
    /// Streams that broke and went on.
    pub resumptions: u64,
    /// Calls under way or waiting now.
    pub in_flight: u64,
    /// Calls by how long they took, failed ones too: classes up to each of [`LATENCY_MS`], and one above.
    pub latencies: [u64; LATENCY_MS.len() + 1],
}

/// A call that is under way until this is dropped.
pub(super) struct InFlight(ClientMetrics);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientMetrics {
    pub(in crate::client) fn count(&self, what: Count) {
        self.0.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn begin(&self) -> InFlight {
        self.count(Count::Called);
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub(super) fn took(&self, latency: Duration) {
        let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let class = LATENCY_MS.partition_point(|bound| *bound < ms);
        self.0.latencies[class].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, error: &Error) {
        let mut errors = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(error.label()).or_default() += 1;
    }

    /// What was done so far.
    pub fn report(&self) -> ClientReport {
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        let counted = |what: Count| load(&self.0.counts[what as usize]);
        ClientReport {
            calls: counted(Count::Called),
            errors: self
                .0
                .errors
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            retries: counted(Count::Retried),
            hedges: counted(Count::Hedged),
            breaker_openings: counted(Count::Opened),
            resumptions: counted(Count::Resumed),
            in_flight: load(&self.0.in_flight),
            latencies: self.0.latencies.each_ref().map(load),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_where_it_belongs() {
        let metrics = ClientMetrics::default();
        let shared = metrics.clone();
        for (what, times) in [
            (Count::Retried, 2),
            (Count::Hedged, 3),
            (Count::Opened, 4),
            (Count::Resumed, 5),
        ] {
            for _ in 0..times {
                shared.count(what);
            }
        }
        let under_way = [shared.begin(), shared.begin(), shared.begin()];
        drop(metrics.begin());
        for ms in [0, 5, 6, 60_000, 60_001] {
            metrics.took(Duration::from_millis(ms));
        }
        metrics.failed(&Error::HeldBack(String::new()));
        metrics.failed(&Error::HeldBack("again".to_owned()));
        metrics.failed(&Error::Timeout(Duration::ZERO));
        let expected = ClientReport {
            calls: 4,
            errors: BTreeMap::from([("HELD_BACK", 2), ("TIMEOUT", 1)]),
            retries: 2,
            hedges: 3,
            breaker_openings: 4,
            resumptions: 5,
            in_flight: 3,
            latencies: [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
        };
        assert_eq!(metrics.report(), expected);
        drop(under_way);
        assert_eq!(metrics.report().in_flight, 0);
    }
}

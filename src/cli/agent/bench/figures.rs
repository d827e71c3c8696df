//! What was measured: times in histograms, outcomes and errors in numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::Outcome;
use super::work::Done;
use crate::cli::agent::failure::Failure;
use crate::cli::agent::page::Page;

/// Callers are spread over so many histograms, so that they don't wait for each other.
const SHARDS: usize = 8;
/// The longest time that is told from longer ones: an hour, in microseconds.
const MICROS_MAX: u64 = 3_600_000_000;
/// Digits of a time that count.
const DIGITS: u8 = 3;
/// Different outcomes, or errors, that are told apart; an agent may make up as many as it likes.
const NAMES_MAX: usize = 64;
/// The width of the longest bar.
const BAR: u64 = 40;
const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// Takes down what happens while it happens.
pub struct Recorder {
    shards: Vec<Mutex<Shard>>,
    begun: AtomicU64,
}

struct Shard {
    latency: Histogram<u64>,
    first_event: Histogram<u64>,
    outcomes: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
}

impl Recorder {
    pub fn new() -> Result<Self, Failure> {
        let shards = (0..SHARDS).map(|_| Ok(Mutex::new(Shard::new()?)));
        Ok(Self {
            shards: shards.collect::<Result<_, Failure>>()?,
            begun: AtomicU64::new(0),
        })
    }

    /// A request has begun.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// A request of this caller has ended.
    pub fn end(&self, caller: usize, done: Done) {
        let shard = &self.shards[caller % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).take(done);
    }

    /// All figures of a phase.
    pub fn figures(&self, outcome: Outcome) -> Result<Figures, Failure> {
        let mut whole = Shard::new()?;
        for shard in &self.shards {
            whole.add(&shard.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        let requests = self.begun.load(Ordering::Relaxed);
        let succeeded = whole.outcomes.values().sum::<u64>();
        let failed = whole.errors.values().sum::<u64>();
        let seconds = outcome.elapsed.as_secs_f64();
        Ok(Figures {
            requests,
            succeeded,
            failed,
            unfinished: requests.saturating_sub(succeeded + failed),
            seconds,
            per_second: (succeeded as f64 / seconds.max(f64::EPSILON) * 10.0).round() / 10.0,
            outcomes: whole.outcomes,
            errors: whole.errors,
            latency_us: Times::of(&whole.latency),
            first_event_us: (!whole.first_event.is_empty()).then(|| Times::of(&whole.first_event)),
            histogram: buckets(&whole.latency),
        })
    }
}

impl Shard {
    fn new() -> Result<Self, Failure> {
        let empty = || {
            Histogram::new_with_bounds(1, MICROS_MAX, DIGITS)
                .map_err(|error| Failure::internal(error.to_string()))
        };
        Ok(Self {
            latency: empty()?,
            first_event: empty()?,
            outcomes: BTreeMap::new(),
            errors: BTreeMap::new(),
        })
    }

    fn take(&mut self, done: Done) {
        match done.outcome {
            Ok(outcome) => {
                count(&mut self.outcomes, &outcome, 1);
                self.latency.saturating_record(micros(done.took));
                if let Some(first) = done.first_event {
                    self.first_event.saturating_record(micros(first));
                }
            }
            Err(code) => count(&mut self.errors, &code, 1),
        }
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        let failed = |error: hdrhistogram::errors::AdditionError| Failure::internal(error.to_string());
        self.latency.add(&other.latency).map_err(failed)?;
        self.first_event.add(&other.first_event).map_err(failed)?;
        for (name, number) in &other.outcomes {
            count(&mut self.outcomes, name, *number);
        }
        for (name, number) in &other.errors {
            count(&mut self.errors, name, *number);
        }
        Ok(())
    }
}

fn count(numbers: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    let name = if numbers.contains_key(name) || numbers.len() < NAMES_MAX {
        name
    } else {
        "others"
    };
    *numbers.entry(name.to_owned()).or_default() += more;
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What came of a measurement. Times are in microseconds, of requests that succeeded.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Requests that were begun.
    requests: u64,
    succeeded: u64,
    failed: u64,
    /// Without an answer when it ended.
    unfinished: u64,
    seconds: f64,
    /// Successes a second.
    per_second: f64,
    /// States of tasks, or `message`.
    outcomes: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    latency_us: Times,
    /// Of streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_us: Option<Times>,
    histogram: Vec<Bucket>,
}

#[derive(Debug, Serialize)]
struct Times {
    min: u64,
    mean: u64,
    #[serde(flatten)]
    percentiles: BTreeMap<&'static str, u64>,
    max: u64,
}

/// Requests that took longer than those of the bucket before, and at most so long.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    up_to_us: u64,
    count: u64,
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Self {
        let percentiles = PERCENTILES.iter();
        Self {
            min: histogram.min(),
            mean: histogram.mean().round() as u64,
            percentiles: percentiles
                .map(|(name, part)| (*name, histogram.value_at_percentile(*part)))
                .collect(),
            max: histogram.max(),
        }
    }

    fn describe(&self, page: &mut Page, what: &str) {
        page.field(&format!("{what} min"), shown(self.min));
        page.field(&format!("{what} mean"), shown(self.mean));
        for (name, _) in PERCENTILES {
            let value = self.percentiles.get(name).copied().unwrap_or_default();
            page.field(&format!("{what} {name}"), shown(value));
        }
        page.field(&format!("{what} max"), shown(self.max));
    }
}

/// Each bucket ends at twice the time of the one before.
fn buckets(histogram: &Histogram<u64>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for step in histogram.iter_recorded() {
        let value = step.value_iterated_to().max(1);
        let up_to_us = value.checked_next_power_of_two().unwrap_or(u64::MAX);
        let count = step.count_since_last_iteration();
        match buckets.last_mut() {
            Some(last) if last.up_to_us == up_to_us => last.count += count,
            _ => buckets.push(Bucket { up_to_us, count }),
        }
    }
    buckets
}

impl Figures {
    /// The figures as text.
    pub fn describe(&self, page: &mut Page) {
        page.field("Requests", self.requests);
        page.field("Succeeded", self.succeeded);
        page.field("Failed", self.failed);
        page.field("Unfinished", self.unfinished);
        page.field("Seconds", format!("{:.3}", self.seconds));
        page.field("Per second", format!("{:.1}", self.per_second));
        for (outcome, number) in &self.outcomes {
            page.field("Outcome", format!("{outcome} {number}"));
        }
        for (error, number) in &self.errors {
            page.field("Error", format!("{error} {number}"));
        }
        if self.succeeded == 0 {
            return;
        }
        self.latency_us.describe(page, "Latency");
        if let Some(times) = &self.first_event_us {
            times.describe(page, "First event");
        }
        page.block("Histogram", &self.bars());
    }

    fn bars(&self) -> String {
        let most = self
            .histogram
            .iter()
            .map(|bucket| bucket.count)
            .max()
            .unwrap_or(1);
        let mut text = String::new();
        for bucket in &self.histogram {
            let width = (bucket.count * BAR).div_ceil(most) as usize;
            // Writing to a text does not fail.
            let _ = writeln!(
                text,
                "up to {:>10} {:>10} {}",
                shown(bucket.up_to_us),
                bucket.count,
                "#".repeat(width)
            );
        }
        text
    }
}

fn shown(micros: u64) -> String {
    format!("{:.3?}", Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(millis: u64) -> Done {
        Done {
            took: Duration::from_millis(millis),
            first_event: None,
            outcome: Ok("COMPLETED".to_owned()),
        }
    }

    #[test]
    fn figures_are_those_of_all_callers() {
        let recorder = Recorder::new().unwrap();
        for millis in 1..=100 {
            recorder.begin();
            recorder.end(millis as usize, done(millis));
        }
        recorder.begin();
        recorder.end(0, Done::timeout(Duration::from_secs(1)));
        recorder.begin();
        let outcome = Outcome {
            elapsed: Duration::from_secs(2),
            is_interrupted: true,
        };
        let figures = recorder.figures(outcome).unwrap();
        let numbers = (
            figures.requests,
            figures.succeeded,
            figures.failed,
            figures.unfinished,
        );
        assert_eq!(numbers, (102, 100, 1, 1));
        assert!((figures.per_second - 50.0).abs() < 0.01);
        assert_eq!(figures.outcomes["COMPLETED"], 100);
        assert_eq!(figures.errors["A2ACLI_ERR_TIMEOUT"], 1);
        let times = &figures.latency_us;
        // Three digits count.
        for (found, expected) in [
            (times.min, 1_000),
            (times.percentiles["p50"], 50_000),
            (times.percentiles["p99.99"], 100_000),
            (times.max, 100_000),
        ] {
            assert!(found.abs_diff(expected) <= expected / 500, "{found} {expected}");
        }
        let counted: u64 = figures.histogram.iter().map(|bucket| bucket.count).sum();
        assert_eq!(counted, 100);
        assert!(
            figures
                .histogram
                .windows(2)
                .all(|pair| pair[0].up_to_us < pair[1].up_to_us)
        );
    }

    #[test]
    fn an_agent_that_makes_up_outcomes_fills_no_memory() {
        let mut numbers = BTreeMap::new();
        for name in 0..1_000 {
            count(&mut numbers, &name.to_string(), 1);
        }
        assert_eq!(numbers.len(), NAMES_MAX + 1);
        assert_eq!(numbers["others"], 1_000 - NAMES_MAX as u64);
    }
}

//! One measurement: a window of steady load, and what the server and the requests spent in it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Outcome;
use crate::options::Options;
use crate::server::Server;

/// What the workers of one measurement report to.
pub struct Gauge {
    /// Set while the window is open; before, the workers warm up.
    open: AtomicBool,
    done: AtomicU64,
    latency_us: Mutex<Histogram<u64>>,
    failure: Mutex<Option<String>>,
}

impl Gauge {
    pub fn new() -> Outcome<Arc<Self>> {
        Ok(Arc::new(Self {
            open: AtomicBool::new(false),
            done: AtomicU64::new(0),
            latency_us: Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3)?),
            failure: Mutex::new(None),
        }))
    }

    /// Counts finished units of work; for those that arrive without a call of their own.
    pub fn count(&self, units: u64) {
        if self.open.load(Ordering::Relaxed) {
            self.done.fetch_add(units, Ordering::Relaxed);
        }
    }

    pub fn add(&self, units: u64, took: Duration) {
        if self.open.load(Ordering::Relaxed) {
            self.done.fetch_add(units, Ordering::Relaxed);
            let mut latency = self.latency_us.lock().expect("nobody panics with it");
            latency.saturating_record(took.as_micros() as u64);
        }
    }

    pub fn fail(&self, error: &dyn std::error::Error) {
        self.failure
            .lock()
            .expect("nobody panics with it")
            .get_or_insert_with(|| error.to_string());
    }

    /// Lets the running load warm up, then watches it and its server for a while.
    pub async fn watch(&self, server: &Server, options: &Options) -> Outcome<Sample> {
        self.watch_cpu(|| server.cpu(), options).await
    }

    /// The same with the processor time of something else.
    pub async fn watch_cpu(
        &self,
        used: impl Fn() -> Outcome<Duration>,
        options: &Options,
    ) -> Outcome<Sample> {
        tokio::time::sleep(options.warm_up).await;
        let (cpu, start) = (used()?, Instant::now());
        self.open.store(true, Ordering::Relaxed);
        tokio::time::sleep(options.seconds).await;
        self.open.store(false, Ordering::Relaxed);
        let (elapsed, cpu) = (start.elapsed(), used()?.saturating_sub(cpu));
        if let Some(failure) = self.failure.lock().expect("nobody panics with it").take() {
            return Err(failure.into());
        }
        let done = self.done.load(Ordering::Relaxed);
        if done == 0 {
            return Err("nothing was answered in the whole window".into());
        }
        let latency = self.latency_us.lock().expect("nobody panics with it");
        Ok(Sample {
            per_second: done as f64 / elapsed.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / done as f64,
            p50_us: latency.value_at_quantile(0.5) as f64,
            p99_us: latency.value_at_quantile(0.99) as f64,
        })
    }
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub per_second: f64,
    /// CPU for one unit of work: the server's, or of `client` the caller's.
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Sample {
    /// How much of one core the server had. Well below 100 it was not given enough to do, or not let onto its core,
    /// and each request costs it more: it wakes up for every one instead of taking several at once.
    pub fn busy_percent(&self) -> f64 {
        self.per_second * self.cpu_us / 1e4
    }
}

/// The windows of all rounds.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<Sample>);

impl Series {
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    pub fn of(&self, value: fn(&Sample) -> f64) -> Spread {
        Spread::new(self.0.iter().map(value).collect())
    }

    /// The differences to a baseline of the same rounds.
    pub fn minus(&self, baseline: &Self, value: fn(&Sample) -> f64) -> Spread {
        let pairs = self.0.iter().zip(&baseline.0);
        Spread::new(pairs.map(|(ours, theirs)| value(ours) - value(theirs)).collect())
    }

    /// The ratios to a baseline of the same rounds: what disturbs one round disturbs both.
    pub fn over(&self, baseline: &Self, value: fn(&Sample) -> f64) -> Spread {
        Spread::new(
            self.0
                .iter()
                .zip(&baseline.0)
                .map(|(ours, theirs)| value(ours) / value(theirs))
                .collect(),
        )
    }
}

/// Median and range.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let median = match values.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => values[n / 2],
            n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
        };
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self {
            median,
            low: end(values.first()),
            high: end(values.last()),
        }
    }
}

/// The order of a round: every other one is turned round, so that nobody always comes second.
pub fn order(round: usize, length: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

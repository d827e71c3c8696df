//! What the layers around an agent do, and within which limits.

use std::time::Duration;

use super::metrics::ClientMetrics;
use crate::client::streams::ResumeSettings;

/// The layers around one agent. A clone counts into the same metrics.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    /// How long a call may take, with waiting, all its attempts and the pauses between them; of a stream, until it begins. Of
    /// a call with uploads, it counts anew from each piece that goes out.
    pub timeout: Duration,
    /// How long one attempt to read may take. A send may take as long as the call.
    pub attempt_timeout: Duration,
    /// Repeating what failed.
    pub retry: RetrySettings,
    /// Leaving an instance alone that fails.
    pub breaker: BreakerSettings,
    /// Asking twice when an answer is late; `None`, the default, for never.
    pub hedge: Option<HedgeSettings>,
    /// Calls at once.
    pub concurrency: ConcurrencySettings,
    /// Choosing among instances.
    pub balance: BalanceSettings,
    /// Going on with streams that broke.
    pub resume: ResumeSettings,
    /// Where it is counted what the layers do.
    pub metrics: ClientMetrics,
}

/// When a call is made again, and how often.
///
/// Only what can't do harm twice is repeated: what the agent can't have got, reads, cancelling, removing a push
/// configuration, and sends to agents whose card declares the idempotency extension.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySettings {
    /// Attempts of one call, the first among them; 1 for no other.
    pub attempts_max: u32,
    /// The longest pause behind the first attempt; it doubles with each further one. Every pause is drawn anew from
    /// nothing up to that.
    pub backoff_min: Duration,
    /// The longest pause behind any attempt.
    pub backoff_max: Duration,
    /// The longest wait that an agent may ask for (`Retry-After`); one that asks for more is not tried again.
    pub retry_after_max: Duration,
    /// Repetitions per call, over the last ten seconds: at 0.2 a fifth more calls, however many fail. From 0 to 1.
    pub budget_ratio: f32,
    /// Repetitions per second that are always allowed.
    pub budget_per_second: u32,
}

/// When an instance is left alone: it fails by not being reached, breaking off, not answering in time, or saying that it is
/// not available.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Failures in a row that open the breaker; one at least.
    pub failures_max: u32,
    /// The part of the calls of one window that may fail; from 0 to 1.
    pub failure_ratio: f64,
    /// Calls that a window needs before the ratio counts.
    pub calls_min: u32,
    /// How long a window is.
    pub window: Duration,
    /// How long the instance is left alone before one call tries it.
    pub pause: Duration,
}

/// When a read is made a second time beside the first. The first answer is taken, the other call is dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct HedgeSettings {
    /// How late an answer has to be; at least that with a percentile.
    pub delay: Duration,
    /// An answer is late when it takes longer than this part of the last 256 answers did: 0.95. `None`: the delay alone
    /// decides.
    pub percentile: Option<f64>,
    /// Second calls per read, over the last ten seconds; from 0 to 1.
    pub budget_ratio: f32,
    /// Second calls per second that are always allowed.
    pub budget_per_second: u32,
}

/// How many calls an agent gets at once. A stream counts until it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencySettings {
    /// Calls under way; one at least.
    pub calls_max: usize,
    /// Calls that wait for one of these to end; further ones are held back.
    pub waiting_max: usize,
}

/// How the load of an instance is estimated: the moving average of its latencies, in which peaks count at once, times the
/// calls that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceSettings {
    /// The latency that an instance is thought to have before it has answered.
    pub latency: Duration,
    /// How long a latency is remembered.
    pub decay: Duration,
}

impl Default for LayerSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(300),
            attempt_timeout: Duration::from_secs(30),
            retry: RetrySettings::default(),
            breaker: BreakerSettings::default(),
            hedge: None,
            concurrency: ConcurrencySettings::default(),
            balance: BalanceSettings::default(),
            resume: ResumeSettings::default(),
            metrics: ClientMetrics::default(),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            retry_after_max: Duration::from_secs(60),
            budget_ratio: 0.2,
            budget_per_second: 10,
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures_max: 5,
            failure_ratio: 0.5,
            calls_min: 20,
            window: Duration::from_secs(10),
            pause: Duration::from_secs(10),
        }
    }
}

impl Default for HedgeSettings {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(100),
            percentile: Some(0.95),
            budget_ratio: 0.1,
            budget_per_second: 1,
        }
    }
}

impl Default for ConcurrencySettings {
    fn default() -> Self {
        Self {
            calls_max: 256,
            waiting_max: 1_024,
        }
    }
}

impl Default for BalanceSettings {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(50),
            decay: Duration::from_secs(10),
        }
    }
}

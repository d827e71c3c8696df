//! The limits of deliveries.

use std::time::Duration;

/// How push notifications are delivered. Every limit is a configuration key of `[push]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// Streams that are sent at once; each has one request under way at most.
    pub requests_max: usize,
    /// How many of them may be of one owner.
    pub requests_per_owner_max: usize,
    /// How many of them may go to one host.
    pub requests_per_host_max: usize,
    /// Deliveries of one stream that are taken at once; then others get their turn.
    pub deliveries_per_claim_max: usize,
    /// How long the receiver may take for the head of its answer.
    pub request_timeout: Duration,
    /// How long a delivery is tried after its event.
    pub retry_span: Duration,
    /// The pause before the second attempt; it doubles with each one.
    pub backoff_min: Duration,
    /// The longest pause between two attempts.
    pub backoff_max: Duration,
    /// The longest pause that a receiver may ask for with `Retry-After`.
    pub retry_after_max: Duration,
    /// Attempts of one owner at one host that fail in a row before it is left alone for that owner.
    pub breaker_failures: u32,
    /// How long it is left alone before one request tries it.
    pub breaker_pause: Duration,
    /// Hosts whose failures are counted at once, for each owner of their own; a quarter of them for one owner.
    pub breaker_hosts_max: usize,
    /// How long a claim lasts.
    pub claim: Duration,
    /// How long the dispatcher sleeps at most.
    pub poll: Duration,
    /// Settlements that are written in one transaction at most.
    pub settle_batch_max: usize,
    /// How often what was done is logged, if anything was.
    pub report_interval: Duration,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            requests_max: 128,
            requests_per_owner_max: 64,
            requests_per_host_max: 32,
            deliveries_per_claim_max: 16,
            request_timeout: Duration::from_secs(15),
            retry_span: Duration::from_secs(24 * 60 * 60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60 * 60),
            retry_after_max: Duration::from_secs(60 * 60),
            breaker_failures: 8,
            breaker_pause: Duration::from_secs(30),
            breaker_hosts_max: 10_000,
            claim: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            settle_batch_max: 64,
            report_interval: Duration::from_secs(60),
        }
    }
}

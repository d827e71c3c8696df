//! The limits of a receiver.

use std::time::Duration;

/// How a receiver is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// How old a signature may be: the time in which a request could be replayed, and so the least time for which ids of
    /// deliveries are remembered.
    pub age_max: Duration,
    /// How far the clock of the sender may be ahead.
    pub leeway: Duration,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Requests that are looked at or wait at the same time; further ones are answered with 503.
    pub requests_max: usize,
    /// Notifications that wait to be taken from the stream.
    pub queue_max: usize,
    /// How long a request waits for a place among them and to be accepted.
    pub accept_timeout: Duration,
    /// Deliveries that [`super::MemoryDeliveries`] remembers, unless there is another store.
    pub deliveries_max: usize,
    /// When to come again (`Retry-After`), in whole seconds.
    pub retry_after: Duration,
    /// How long keys from a URL are used before they are fetched again.
    pub keys_fresh: Duration,
    /// The least time between two fetches, whatever keys requests name.
    pub keys_pause: Duration,
    /// How long keys are used while their URL can't be had.
    pub keys_stale_max: Duration,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(300),
            leeway: Duration::from_secs(60),
            body_bytes_max: 4 << 20,
            body_timeout: Duration::from_secs(10),
            requests_max: 256,
            queue_max: 64,
            accept_timeout: Duration::from_secs(10),
            deliveries_max: 65_536,
            retry_after: Duration::from_secs(5),
            keys_fresh: Duration::from_secs(3_600),
            keys_pause: Duration::from_secs(10),
            keys_stale_max: Duration::from_secs(24 * 3_600),
        }
    }
}

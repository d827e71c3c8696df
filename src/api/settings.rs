//! The limits of the bindings.

use std::time::Duration;

/// How requests are bounded before they reach the core. Every limit is a configuration key of `[server]`, `[limits]`
/// or `[card]`.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Bytes of one request body, decompressed, and of one gRPC message in either direction.
    pub body_bytes_max: usize,
    /// How long the next piece of a request body may take.
    pub body_timeout: Duration,
    /// Bytes a second that a body must come with on average, once it has taken `body_timeout`; 0 for any rate.
    pub body_bytes_per_s_min: usize,
    /// The longest deadline that a caller can ask for; longer ones are cut down to it.
    pub request_timeout_max: Duration,
    /// Requests processed at once.
    pub in_flight_max: usize,
    /// Calls in one JSON-RPC batch.
    pub batch_requests_max: usize,
    /// Calls of one JSON-RPC batch that run at once.
    pub batch_concurrency_max: usize,
    /// How often a quiet SSE stream gets a comment.
    pub sse_keepalive: Duration,
    /// Bytes of an idempotency key or another label in a header.
    pub id_bytes_max: usize,
    /// How often the credential behind an open stream is looked at, if it can end by itself.
    pub credential_interval: Duration,
    /// Seconds for which a client may keep a card.
    pub card_max_age_s: u32,
    /// Origins whose pages may call; `*` for all.
    pub cors_origins: Vec<String>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            body_timeout: Duration::from_secs(30),
            body_bytes_per_s_min: 1_024,
            request_timeout_max: Duration::from_secs(3_600),
            in_flight_max: 10_000,
            batch_requests_max: 64,
            batch_concurrency_max: 16,
            sse_keepalive: Duration::from_secs(15),
            id_bytes_max: 128,
            credential_interval: Duration::from_secs(3),
            card_max_age_s: 300,
            cors_origins: Vec::new(),
        }
    }
}

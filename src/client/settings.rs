//! The limits of a client.

use std::time::Duration;

/// What a client allows an agent to cost. Every size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long connecting may take, with look-up and TLS.
    pub connect_timeout: Duration,
    /// How long an answer may take that is no stream, with all attempts.
    pub timeout: Duration,
    /// How long a stream may be silent, comments and pings of the agent included.
    pub idle_timeout: Duration,
    /// The largest answer.
    pub answer_bytes_max: usize,
    /// The largest event of a stream.
    pub event_bytes_max: usize,
    /// The largest card.
    pub card_bytes_max: usize,
    /// Connections to one host at once.
    pub connections_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(90),
            answer_bytes_max: 64 << 20,
            event_bytes_max: 16 << 20,
            card_bytes_max: 1 << 20,
            connections_max: 64,
        }
    }
}

//! The limits of a client.

use std::time::Duration;

/// What a client allows an agent to cost. Every size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long connecting may take, with look-up and TLS.
    pub connect_timeout: Duration,
    /// How long an answer may take, with all attempts; of a stream, until it begins.
    pub timeout: Duration,
    /// How long a stream of JSON-RPC or HTTP+JSON may be silent; comments count as words.
    pub idle_timeout: Duration,
    /// How long an agent may be silent on gRPC while it owes an answer, before it is pinged; it has 20 seconds to answer
    /// that. Many servers of gRPC take pings amiss that come more often than every five minutes.
    pub ping_interval: Duration,
    /// The largest answer.
    pub answer_bytes_max: usize,
    /// The largest event of a stream.
    pub event_bytes_max: usize,
    /// The largest card.
    pub card_bytes_max: usize,
    /// Connections at once of each kind: of gRPC, of the JSON bindings, for documents. More wait for `connect_timeout`.
    pub connections_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(90),
            ping_interval: Duration::from_secs(310),
            answer_bytes_max: 64 << 20,
            event_bytes_max: 16 << 20,
            card_bytes_max: 1 << 20,
            connections_max: 64,
        }
    }
}

//! The limits of a client.

use std::time::Duration;

/// What a client allows an agent to cost. Every size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long connecting may take, with look-up and TLS.
    pub connect_timeout: Duration,
    /// How long an answer may take, with all attempts; of a stream, until it begins. Of a call with uploads, it counts from
    /// the last piece that went out.
    pub timeout: Duration,
    /// How long the agent may take no piece of an upload, and how long reading one may take, before the call is given up. It
    /// is not made again by itself.
    pub upload_idle_timeout: Duration,
    /// How long a stream of JSON-RPC or HTTP+JSON may be silent; comments count as words.
    pub idle_timeout: Duration,
    /// How long an agent may be silent on gRPC while it owes an answer, before it is pinged; it has 20 seconds to answer
    /// that. Many servers of gRPC take pings amiss that come more often than every five minutes.
    pub ping_interval: Duration,
    /// The largest answer.
    pub answer_bytes_max: usize,
    /// The largest event of a stream.
    pub event_bytes_max: usize,
    /// The largest card, catalog or other document.
    pub card_bytes_max: usize,
    /// How long fetching a card or another document may take.
    pub card_timeout: Duration,
    /// How long a card is used without asking for it again, whatever its server allows.
    pub card_fresh_max: Duration,
    /// The most bytes of cards that are kept in memory.
    pub card_cache_bytes_max: usize,
    /// The most interfaces of one agent that calls are spread over.
    pub instances_max: usize,
    /// The most entries of a catalog.
    pub catalog_entries_max: usize,
    /// Connections at once of each kind: of gRPC, where one carries many calls, and of the JSON bindings, where by HTTP/1 each
    /// call and each stream has one of its own. More wait for `connect_timeout`, and are then held back
    /// ([`Error::HeldBack`](super::Error::HeldBack)).
    pub connections_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(300),
            upload_idle_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
            ping_interval: Duration::from_secs(310),
            answer_bytes_max: 64 << 20,
            event_bytes_max: 16 << 20,
            card_bytes_max: 1 << 20,
            card_timeout: Duration::from_secs(15),
            card_fresh_max: Duration::from_secs(24 * 3_600),
            card_cache_bytes_max: 16 << 20,
            instances_max: 16,
            catalog_entries_max: 1_000,
            connections_max: 1_024,
        }
    }
}

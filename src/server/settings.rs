//! The limits of a listener.

use std::sync::Arc;

use super::proxies::TrustedProxies;

/// Limits of one listener and of each of its connections. The defaults suit a port that strangers can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The most connections at a time, handshakes included; at least 1 is taken. Beyond it nothing is accepted
    /// until one closes, and the excess waits in the kernel's backlog. Less are taken where the process may not open
    /// so many files.
    pub connections_max: u32,
    /// The most connections at a time from one address, of IPv6 from one network of 64 bits; at least 1 is taken. One
    /// more is closed at once.
    pub connections_per_address_max: u32,
    /// After so many connections of one address that ended within a minute because the client broke the rules of its
    /// protocol, new ones from there are closed at once for a minute; 0 never.
    pub breaches_per_address_max: u32,
    /// How many such addresses are remembered; at least 1 is.
    pub breaching_addresses_max: usize,
    /// The peers that are believed about who their client is. Neither limit of an address applies to them.
    pub trusted_proxies: Arc<TrustedProxies>,
    /// The most TLS handshakes at a time; at least 1 is taken. More wait their turn within their time-out.
    pub handshakes_max: u32,
    /// The most of these from one address; at least 1 is taken. Addresses take turns, and trusted proxies have no such
    /// limit.
    pub handshakes_per_address_max: u32,
    /// How long a TLS handshake may take, waiting for its turn included, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How long a client may take for its first bytes and for the head of an HTTP/1.1 request, in milliseconds.
    /// Also how long an HTTP/1.1 connection may lie idle between two requests.
    pub header_timeout_ms: u64,
    /// The most bytes in the head of a request: HTTP/1.1 start line and headers, or the HTTP/2 header list.
    pub header_bytes_max: u32,
    /// The most requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
    /// How many streams we may reset on one connection for the client's faults before it is closed.
    pub local_resets_max: usize,
    /// How many streams a client may open and reset before we got to them, before its connection is closed.
    pub pending_resets_max: usize,
    /// How much of one request's body an HTTP/2 client may send ahead of us, in bytes. One message that is larger
    /// costs a round trip per window; raise it for large uploads over long distances.
    pub stream_window_bytes: u32,
    /// How much all requests of one HTTP/2 connection together may send ahead of us, in bytes.
    pub connection_window_bytes: u32,
    /// How much of one response is buffered for an HTTP/2 client that reads slowly, in bytes.
    pub send_buffer_bytes: usize,
    /// The most HTTP/2 frames a second without a request or data on one connection, beside one for each 64 bytes that
    /// we send; at least 1 is taken.
    pub control_frames_per_s_max: u32,
    /// How long a client may leave a piece of a response unread, in milliseconds; at least 1 is taken. An HTTP/2
    /// response that finds no room for so long is reset, and a connection whose socket takes nothing for so long is
    /// closed.
    pub write_timeout_ms: u64,
    /// How often an HTTP/2 connection that is silent is pinged, in milliseconds; 0 never.
    pub ping_interval_ms: u64,
    /// How long the answer to a ping may take before the connection is closed, in milliseconds.
    pub ping_timeout_ms: u64,
    /// How long an HTTP/2 connection may be without requests before it is asked to close, in milliseconds; at the
    /// latest half as long later it is. 0 for ever.
    pub idle_timeout_ms: u64,
    /// The age, give or take a tenth, at which a connection takes no more requests and closes once its open ones
    /// are done, in milliseconds; 0 never. Clients then connect anew, to whichever node and with a certificate that
    /// is checked anew.
    pub connection_age_ms: u64,
    /// How long requests may go on after that age before they are cut off, in milliseconds; 0 as long as they like.
    pub connection_age_grace_ms: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            breaches_per_address_max: 20,
            breaching_addresses_max: 10_000,
            trusted_proxies: Arc::default(),
            handshakes_max: 512,
            handshakes_per_address_max: 32,
            handshake_timeout_ms: 5_000,
            header_timeout_ms: 10_000,
            header_bytes_max: 16 * 1024,
            streams_max: 256,
            local_resets_max: 64,
            pending_resets_max: 20,
            stream_window_bytes: 64 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes: 400 * 1024,
            control_frames_per_s_max: 1_000,
            write_timeout_ms: 30_000,
            ping_interval_ms: 30_000,
            ping_timeout_ms: 10_000,
            idle_timeout_ms: 300_000,
            connection_age_ms: 30 * 60 * 1_000,
            connection_age_grace_ms: 0,
        }
    }
}

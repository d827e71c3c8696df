//! The limits of requests that go out.

use std::path::PathBuf;
use std::time::Duration;

/// How requests go out. Every limit is a configuration key of `[egress]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressSettings {
    /// PEM file with authorities that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take: its place, the look-up of the name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long a request may take, from its beginning to the last byte of the answer.
    pub timeout: Duration,
    /// The most bytes of an answer's body.
    pub response_bytes_max: usize,
    /// The most addresses that a name may have.
    pub addresses_max: usize,
    /// The most connections at once of one client; more wait.
    pub connections_max: usize,
    /// The most connections to one host that are kept for later requests.
    pub idle_per_host_max: usize,
    /// How long a connection that nobody uses is kept.
    pub idle_timeout: Duration,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            response_bytes_max: 64 * 1024,
            addresses_max: 16,
            connections_max: 256,
            idle_per_host_max: 4,
            idle_timeout: Duration::from_secs(5),
        }
    }
}

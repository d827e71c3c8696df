//! `[egress]`: requests that the server itself makes.

use std::path::PathBuf;

use super::schema::section;

section! {
    /// Requests that the server itself makes (webhooks, keys of issuers). Redirects are never followed, and no proxy is
    /// taken from the environment.
    pub struct Egress {
        /// PEM file with authorities that are trusted for such requests beside those of the system.
        ca_file: Option<PathBuf> = None;
        /// Milliseconds for a connection: its place among connections_max, the look-up of the name, TCP and TLS
        /// together.
        connect_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds for a request from its beginning to the last byte of its answer.
        timeout_ms: u64 = 30_000, 1..=600_000;
        /// Bytes of an answer's body; a longer one is an error, and its connection is closed.
        response_bytes_max: usize = 65_536, 1_024..=16_777_216;
        /// Addresses that a name may have. One that has more is refused, because every one of them is judged.
        addresses_max: usize = 16, 1..=256;
        /// Connections at once for each kind of request; more wait for a place.
        connections_max: usize = 256, 1..=10_000;
        /// Connections kept open to one host for later requests; 0 for none.
        idle_per_host_max: usize = 4, 0..=1_000;
        /// Milliseconds for which a connection that nobody uses is kept. Less than connect_timeout_ms, and a third of it at
        /// most is what counts, so that whoever waits for a place gets one.
        idle_timeout_ms: u64 = 5_000, 100..=600_000;
    }
}

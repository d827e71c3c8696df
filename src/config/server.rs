//! `[server]`: the socket, its connections, and how the process ends.

use std::net::{Ipv4Addr, SocketAddr};

use super::schema::{DAY_MS, MIB, section};
use super::secret::Secret;

section! {
    /// The listening socket, what one connection may use, and how the server drains.
    pub struct Server {
        /// IP address and port on which all bindings are served. Loopback by default, so that a first try is not
        /// reachable from elsewhere; port 0 takes a free one.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8420));
        /// Base URL written into agent cards, for example `https://agents.example.com`. When absent it is made of
        /// `listen`. It never comes from the Host header, which a caller can forge.
        public_url: Option<String> = None;
        /// Serves without TLS on an address that is not loopback. Off, so that nobody does it by accident: say it
        /// only behind a proxy or a mesh that encrypts.
        allow_plaintext: bool = false;
        /// Connections open at once; more are closed on accept. Each costs a file descriptor: raise the process
        /// limit with it.
        connections_max: usize = 10_000, 1..=1_000_000;
        /// Connections at a time from one address (of IPv6: from one /64 network); one more is closed at once. Behind a
        /// proxy or a load balancer that connects on behalf of all, set it to connections_max.
        connections_per_address_max: usize = 1_000, 1..=1_000_000;
        /// Milliseconds that a TLS handshake may take, so that silent peers don't hold sockets.
        handshake_timeout_ms: u64 = 5_000, 1..=600_000;
        /// TLS handshakes under way at once: they are the most expensive thing a stranger can ask for.
        handshakes_pending_max: usize = 512, 1..=100_000;
        /// Milliseconds in which the headers of an HTTP/1.1 request must arrive, against slow senders.
        header_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds that the next piece of a request body may take, against callers that hold a request open.
        body_timeout_ms: u64 = 30_000, 1..=600_000;
        /// Milliseconds for which a client may leave a piece of an answer or of a stream unread. Then its HTTP/2 stream
        /// is reset, or its connection closed if the socket itself takes nothing more; it resumes behind the last event
        /// that it has read.
        write_timeout_ms: u64 = 30_000, 1..=3_600_000;
        /// HTTP/2 streams open at once on one connection, announced to the peer. Use 100 when strangers connect
        /// directly.
        streams_per_connection_max: u32 = 256, 1..=100_000;
        /// Milliseconds after which a connection is asked to reconnect: new certificates, revocations and new nodes
        /// then take effect.
        connection_age_max_ms: u64 = 1_800_000, 1..=DAY_MS;
        /// Milliseconds between HTTP/2 pings, so that dead peers are found and idle proxies keep the way open.
        keepalive_interval_ms: u64 = 30_000, 1..=DAY_MS;
        /// Milliseconds to wait for the answer to a ping before the connection is closed.
        keepalive_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Bytes of one request body, decompressed, on every binding. Must hold the largest part.
        body_bytes_max: usize = 4 * MIB, 1_024..=1_073_741_824;
        /// Milliseconds: a caller's own longer deadline for a unary call is cut down to this. Streams have none.
        request_timeout_ms_max: u64 = 3_600_000, 1..=DAY_MS;
        /// Requests processed at once; one more is answered with UNAVAILABLE, because a queue would only hide the
        /// overload.
        in_flight_max: usize = 10_000, 1..=1_000_000;
        /// Milliseconds between the health check turning to NOT_SERVING and the socket closing. Zero when nothing
        /// balances load; about 5000 on Kubernetes, where endpoints lag behind.
        drain_delay_ms: u64 = 0, 0..=600_000;
        /// Milliseconds that running requests and executions get to finish before they are cut off.
        drain_timeout_ms: u64 = 30_000, 0..=3_600_000;
        /// Origins of browser pages that may call, like `https://app.example.com`, or "*" for all. Empty: no page may.
        cors_origins: Vec<String> = Vec::new();
        /// gRPC calls must name A2A-Version like the other bindings do. Off, because the package name lf.a2a.v1
        /// already says 1.0.
        strict_version: bool = false;
        /// Key that authenticates page tokens: 32 bytes in hex or base64. When absent a random one is made at every
        /// start, and a listing begun before a restart, or on another node, has to begin again.
        page_token_key: Option<Secret<String>> = None;
    }
}

impl Server {
    /// The base URL of this server without a slash at its end: the configured one, or one made of the address that
    /// the socket is bound to. An address that means "every interface" can't be called, so localhost stands for it.
    pub fn public_url(&self, bound: SocketAddr, is_tls: bool) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if is_tls { "https" } else { "http" };
        if bound.ip().is_unspecified() {
            return format!("{scheme}://localhost:{}", bound.port());
        }
        format!("{scheme}://{bound}")
    }

    /// The key of page tokens as bytes; `None` when it is absent or not 32 bytes, which validation refuses.
    pub fn page_token_key_bytes(&self) -> Option<Secret<[u8; 32]>> {
        let text = self.page_token_key.as_ref()?.expose();
        decode_key(text).map(Secret::new)
    }
}

/// Reads 32 bytes in hex, or in base64 of either alphabet, padded or not.
pub(super) fn decode_key(text: &str) -> Option<[u8; 32]> {
    use base64::Engine;
    use base64::alphabet::{STANDARD, URL_SAFE};
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = decode_hex(text)
        .or_else(|| GeneralPurpose::new(&STANDARD, lenient).decode(text).ok())
        .or_else(|| GeneralPurpose::new(&URL_SAFE, lenient).decode(text).ok())?;
    bytes.try_into().ok()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32)
        .map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_follows_the_bound_address() {
        let server = Server::default();
        let url = |bound: &str, is_tls| server.public_url(bound.parse().expect("an address"), is_tls);
        assert_eq!(url("127.0.0.1:9000", false), "http://127.0.0.1:9000");
        assert_eq!(url("[::1]:9000", true), "https://[::1]:9000");
        assert_eq!(url("0.0.0.0:9000", true), "https://localhost:9000");

        let server = Server {
            public_url: Some("https://a.example/x/".to_owned()),
            ..Server::default()
        };
        assert_eq!(server.public_url(server.listen, false), "https://a.example/x");
    }

    #[test]
    fn page_token_keys_are_hex_or_base64() {
        let hex = "00ff".repeat(16);
        let base64 = "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=";
        let url_safe = "AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8";
        for text in [hex.as_str(), base64, url_safe] {
            let server = Server {
                page_token_key: Some(Secret::new(text.to_owned())),
                ..Server::default()
            };
            let key = server.page_token_key_bytes().expect("a key");
            assert_eq!(key.expose()[..2], [0x00, 0xff]);
        }
        for wrong in ["", "00ff", "*** not a key ***", &"0".repeat(63), &"ü".repeat(32)] {
            assert_eq!(decode_key(wrong), None, "{wrong}");
        }
    }
}

//! `[server]`: the socket, its connections, and how the process ends.

use std::net::{Ipv4Addr, SocketAddr};

use super::network::Network;
use super::schema::{DAY_MS, MIB, choice, section};
use super::secret::Secret;

choice! {
    /// The header in which trusted proxies name the client.
    pub enum ProxyHeader {
        /// `X-Forwarded-For`, to which each proxy appends the address that it was called from.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239), of which `for` counts.
        Forwarded = "forwarded",
    }
}

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
        /// Connections open at once; more wait in the system's backlog. Each costs a file descriptor: the process raises its
        /// soft limit of open files for them as far as the hard limit goes, and of what it may open a fifth, 64 at least,
        /// is kept for everything else.
        connections_max: usize = 10_000, 1..=1_000_000;
        /// Connections at a time from one address (of IPv6: from one /64 network); one more is closed at once. A proxy
        /// that connects on behalf of all belongs into trusted_proxies, to which this does not apply.
        connections_per_address_max: usize = 1_000, 1..=1_000_000;
        /// Connections of one address (of IPv6: of one /64 network) that may end within a minute because the client broke
        /// the rules of its protocol: HTTP/2 floods, frames that must not be, requests that are none. After as many, new
        /// connections from there are closed at once for a minute. 0: none ever. Does not apply to trusted_proxies.
        breaches_per_address_max: u32 = 20, 0..=1_000_000;
        /// Addresses whose breaches are remembered; beyond it the one that began longest ago is forgotten.
        breaching_addresses_max: usize = 10_000, 1..=1_000_000;
        /// Networks of proxies, like "10.0.0.0/8", that are believed about who their client is. From any other peer
        /// Forwarded and X-Forwarded-For are ignored; Host is never believed.
        trusted_proxies: Vec<String> = Vec::new();
        /// The header in which trusted proxies name the client; the other one is ignored, because a proxy passes on
        /// unseen what it does not know.
        proxy_header: ProxyHeader = ProxyHeader::XForwardedFor;
        /// Milliseconds that a TLS handshake may take, so that silent peers don't hold sockets.
        handshake_timeout_ms: u64 = 5_000, 1..=600_000;
        /// TLS handshakes under way at once: they are the most expensive thing a stranger can ask for.
        handshakes_pending_max: usize = 512, 1..=100_000;
        /// Of these from one address (of IPv6: from one /64 network); more wait for their turn.
        handshakes_per_address_max: usize = 32, 1..=100_000;
        /// Milliseconds in which the headers of an HTTP/1.1 request must arrive, against slow senders.
        header_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds that the next piece of a request body may take, against callers that hold a request open.
        body_timeout_ms: u64 = 30_000, 1..=600_000;
        /// Bytes a second that a request body must come with on average once body_timeout_ms are over, against callers
        /// that send it byte by byte. 0: any rate.
        body_bytes_per_s_min: usize = 1_024, 0..=1_073_741_824;
        /// Milliseconds for which a client may leave a piece of an answer or of a stream unread. Then its HTTP/2 stream
        /// is reset, or its connection closed if the socket itself takes nothing more; it resumes behind the last event
        /// that it has read.
        write_timeout_ms: u64 = 30_000, 1..=3_600_000;
        /// HTTP/2 streams open at once on one connection, announced to the peer. Use 100 when strangers connect
        /// directly.
        streams_per_connection_max: u32 = 256, 1..=100_000;
        /// Bytes in the head of a request: the start line and headers of HTTP/1.1, the header list of HTTP/2.
        header_bytes_max: u32 = 16_384, 1_024..=1_048_576;
        /// Bytes of one request's body that an HTTP/2 client may send ahead of us. Raise it for large uploads over long
        /// distances.
        stream_window_bytes: u32 = 65_536, 65_535..=16_777_216;
        /// Bytes that all requests of one HTTP/2 connection together may send ahead of us.
        connection_window_bytes: u32 = 1_048_576, 65_535..=1_073_741_824;
        /// HTTP/2 frames a second that carry no request and no data (PING, SETTINGS, PRIORITY, RST_STREAM, WINDOW_UPDATE,
        /// empty DATA) on one connection, beside one for each 64 bytes that we send. One more ends the connection.
        control_frames_per_s_max: u32 = 1_000, 10..=1_000_000;
        /// Milliseconds after which an HTTP/2 connection without requests is asked to close, at the latest half as many
        /// later. HTTP/1.1 connections wait for header_timeout_ms.
        idle_timeout_ms: u64 = 300_000, 100..=DAY_MS;
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
    /// The networks of trusted proxies; a text that names none, which validation refuses, is left out.
    pub fn trusted_networks(&self) -> Vec<Network> {
        self.trusted_proxies
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

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

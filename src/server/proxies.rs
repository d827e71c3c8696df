//! Whom a request comes from when a proxy brings it.
//!
//! Headers that name the client are believed only from peers whose network is configured, because anybody can write
//! them. Each proxy appends whom it was called by; read from the right, the first address that is none of ours is the
//! client, and what stands left of it is what the client itself has written.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::{Network, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The most proxies in a row that are looked behind.
const HOPS_MAX: usize = 32;

/// The peers that are believed, and in what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they connect from.
    pub networks: Vec<Network>,
    /// The header that counts; the other one is ignored.
    pub header: ProxyHeader,
}

impl TrustedProxies {
    /// True if a peer with this address is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        // A listener for both families shows IPv4 peers inside IPv6.
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client of a request that a trusted peer has brought, with port 0 if only the address is known. `None` when
    /// the header is missing or can't be read as far as it has to be: then all that is known is the proxy.
    pub fn client(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let (name, node): (_, fn(&str) -> Option<SocketAddr>) = match self.header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ProxyHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        let mut farthest = None;
        // Cut at every comma: an address holds none, and a quote that the client has opened must not swallow what the
        // proxy appended.
        for hop in values
            .iter()
            .rev()
            .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
            .take(HOPS_MAX)
        {
            let client = node(std::str::from_utf8(hop).ok()?.trim())?;
            if !self.trusts(client.ip()) {
                return Some(client);
            }
            farthest = Some(client);
        }
        farthest
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239 section 4): `for=192.0.2.43;proto=https`. Obfuscated names and
/// `unknown` are no addresses.
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        Some(quoted) => address(quoted.strip_suffix('"')?),
        None => address(value),
    }
}

/// An address with or without a port; one of IPv6 with a port stands in brackets.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let bare = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let ip: IpAddr = bare.parse().ok()?;
    Some(SocketAddr::new(ip.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ProxyHeader, name: &'static str, values: &[&str]) -> Option<String> {
        let proxies = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            header,
        };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(&headers).map(|client| client.to_string())
    }

    #[test]
    fn the_rightmost_address_that_is_not_ours_is_the_client() {
        let found = |values: &[&str]| client(ProxyHeader::XForwardedFor, "x-forwarded-for", values);
        for (values, expected) in [
            (&["192.0.2.1"][..], Some("192.0.2.1:0")),
            (&["6.6.6.6, 192.0.2.1"], Some("192.0.2.1:0")),
            (&["6.6.6.6, 192.0.2.1, 10.1.1.1"], Some("192.0.2.1:0")),
            (
                &["6.6.6.6", "192.0.2.1", "10.1.1.1, fd00::1"],
                Some("192.0.2.1:0"),
            ),
            (&["junk\", \u{e9}, 192.0.2.1:4711"], Some("192.0.2.1:4711")),
            (&["2001:db8::1"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]:99"], Some("[2001:db8::1]:99")),
            (&["::ffff:192.0.2.1"], Some("192.0.2.1:0")),
            (&["10.3.3.3, 10.1.1.1"], Some("10.3.3.3:0")),
            (&["192.0.2.1, junk"], None),
            (&["192.0.2.1, junk, 10.1.1.1"], None),
            (&["192.0.2.1,"], None),
            (&[""], None),
            (&["192.0.2.256"], None),
            (&["example.com"], None),
            (&[], None),
        ] {
            assert_eq!(found(values).as_deref(), expected, "{values:?}");
        }
        let row = vec!["10.0.0.1"; 10_000].join(",");
        assert_eq!(found(&[&row]).as_deref(), Some("10.0.0.1:0"));
    }

    #[test]
    fn forwarded_names_the_client_in_for() {
        let found = |values: &[&str]| client(ProxyHeader::Forwarded, "forwarded", values);
        for (values, expected) in [
            (&["for=192.0.2.43"][..], Some("192.0.2.43:0")),
            (&["For=\"192.0.2.43:47011\""], Some("192.0.2.43:47011")),
            (
                &["proto=https; FOR = \"[2001:db8::17]:4711\";by=10.0.0.1"],
                Some("[2001:db8::17]:4711"),
            ),
            (
                &["for=6.6.6.6, for=192.0.2.43, for=10.0.0.2"],
                Some("192.0.2.43:0"),
            ),
            (&["for=\"6.6.6.6, for=192.0.2.43"], Some("192.0.2.43:0")),
            (&["for=unknown"], None),
            (&["for=_hidden, for=10.0.0.2"], None),
            (&["for=192.0.2.43;for=192.0.2.44"], None),
            (&["for=\"192.0.2.43"], None),
            (&["192.0.2.43"], None),
            (&["by=192.0.2.43"], None),
        ] {
            assert_eq!(found(values).as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn only_the_header_that_the_proxies_write_counts() {
        assert_eq!(
            client(ProxyHeader::Forwarded, "x-forwarded-for", &["192.0.2.1"]),
            None
        );
        assert_eq!(
            client(ProxyHeader::XForwardedFor, "forwarded", &["for=192.0.2.1"]),
            None
        );
    }
}

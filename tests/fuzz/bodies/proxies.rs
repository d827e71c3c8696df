//! The client that a proxy names.

use a2ad::config::ProxyHeader;
use a2ad::server::TrustedProxies;
use http::{HeaderMap, HeaderValue};

/// Lines of a header, of which the proxy has written the end. Whatever stands before it, a client that the proxy names
/// is believed, and one that is named is an address that stands there.
pub fn forwarded(input: &[u8]) {
    for (header, name, last) in [
        (ProxyHeader::XForwardedFor, "x-forwarded-for", "192.0.2.7"),
        (ProxyHeader::Forwarded, "forwarded", "for=192.0.2.7;proto=https"),
    ] {
        let proxies = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
            header,
        };
        let mut headers = HeaderMap::new();
        for line in input.split(|byte| *byte == b'\n') {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(name, value);
            }
        }
        if let Some(client) = proxies.client(&headers) {
            let octets = client.ip().to_string();
            let written = input.iter().any(|byte| byte.is_ascii_hexdigit() || *byte == b':');
            assert!(written, "{octets} out of nothing");
            assert_eq!(client.ip(), client.ip().to_canonical());
        }
        headers.append(name, HeaderValue::from_static(last));
        let client = proxies.client(&headers).expect("what the proxy has written");
        assert_eq!(client.to_string(), "192.0.2.7:0");
    }
}

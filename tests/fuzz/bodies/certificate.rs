//! Names in client certificates.

use a2ad::tls::{ClientNames, PeerIdentity};

/// A certificate that names somebody does so in the narrow alphabets of SPIFFE and DNS, with a name that stands in it.
pub fn identity(input: &[u8]) {
    for names in [ClientNames::SpiffeOrDns, ClientNames::Spiffe, ClientNames::Dns] {
        let Some(identity) = PeerIdentity::from_der(input, names) else {
            continue;
        };
        let name = identity.as_str();
        let stands_there = |name: &str| {
            let same = |window: &[u8]| window.eq_ignore_ascii_case(name.as_bytes());
            input.windows(name.len()).any(same)
        };
        if let Some(rest) = name.strip_prefix("spiffe://") {
            assert_ne!(names, ClientNames::Dns, "{name}");
            let (domain, path) = rest.split_once('/').expect("a path");
            assert_eq!(identity.trust_domain(), Some(domain));
            assert!(
                !domain.is_empty() && domain.bytes().all(|b| is_lower(b) || b == b'_'),
                "{name}"
            );
            for segment in path.split('/') {
                assert!(!["", ".", ".."].contains(&segment), "{name}");
                assert!(
                    segment
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
                    "{name}"
                );
            }
            assert!(stands_there(name), "{name}");
        } else {
            let dns = name.strip_prefix("dns:").expect("a name of either kind");
            assert_ne!(names, ClientNames::Spiffe, "{name}");
            assert!(!dns.is_empty() && dns.bytes().all(is_lower), "{name}");
            assert!(stands_there(dns), "{name}");
        }
    }
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
}

//! Which webhook addresses are taken at all. What an address resolves to is checked when it is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::Error;

/// Checks a webhook URL: https, a public host, no user information, no control characters.
pub(super) fn check(text: &str, field: &str, allow_loopback: bool) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::invalid(field, why));
    if text.len() > 2_048 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return invalid("a webhook URL has at most 2048 characters and no blanks or control characters");
    }
    // The parser forgives what browsers forgive; nobody means a webhook that way.
    let behind_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
    let authority = behind_scheme.strip_prefix("//").unwrap_or_default();
    if authority.is_empty() || authority.starts_with('/') || text.contains('\\') {
        return invalid("not a URL; give an absolute https URL");
    }
    let Ok(url) = Url::parse(text) else {
        return invalid("not a URL; give an absolute https URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("a webhook URL must not carry credentials; use the authentication field");
    }
    let Some(host) = url.host() else {
        return invalid("a webhook URL needs a host");
    };
    if is_loopback(&host) && allow_loopback && matches!(url.scheme(), "http" | "https") {
        return Ok(());
    }
    if url.scheme() != "https" {
        return invalid("a webhook URL must use https");
    }
    if !is_public(&host) {
        return invalid("a webhook URL must name a public host");
    }
    Ok(())
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name != "localhost" && !name.ends_with(".localhost") && !name.ends_with(".internal")
        }
        Host::Ipv4(ip) => is_public_address(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => is_public_address(IpAddr::V6(*ip)),
    }
}

/// Networks that are not the public internet, as (address, prefix length).
const PRIVATE_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

const PRIVATE_V6: [(Ipv6Addr, u32); 14] = [
    (Ipv6Addr::UNSPECIFIED, 128),
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

fn is_public_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let bits = ip.to_bits();
            !PRIVATE_V4
                .iter()
                .any(|(net, length)| (bits ^ net.to_bits()).leading_zeros() >= *length)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_public_address(IpAddr::V4(mapped)),
            None => {
                let bits = ip.to_bits();
                !PRIVATE_V6
                    .iter()
                    .any(|(net, length)| (bits ^ net.to_bits()).leading_zeros() >= *length)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_urls_are_taken() {
        for good in [
            "https://example.com/hook",
            "https://example.com:8443/a?b=c",
            "https://8.8.8.8/",
            "https://[2606:4700::1]/",
        ] {
            assert!(check(good, "url", false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "http://example.com/",
            "ftp://example.com/",
            "https://user:pass@example.com/",
            "https://user@example.com/",
            "https://localhost/",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://example.com/\r\nX: y",
            "https://exa mple.com/",
            "https:///path",
            "https:/example.com/",
            "https:example.com/",
            "https:/example.com/a://b",
        ] {
            assert!(check(bad, "url", false).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_taken_only_when_it_is_allowed() {
        for url in [
            "http://127.0.0.1:9000/",
            "http://localhost:1/x",
            "http://[::1]:1/",
        ] {
            assert!(check(url, "url", true).is_ok(), "{url}");
            assert!(check(url, "url", false).is_err(), "{url}");
        }
        assert!(check("http://10.0.0.1/", "url", true).is_err());
        assert!(check("http://u@127.0.0.1/", "url", true).is_err());
    }
}

//! Which URLs are taken at all.

use http::Uri;
use url::{Host, Url};

use super::{EgressPolicy, Refusal};

/// Longer ones are not addresses but payloads.
const CHARACTERS_MAX: usize = 2_048;

/// Endings of names that mean something on this machine or within one network only (RFC 6761, RFC 6762, RFC 8375, and
/// the one that ICANN has set aside for private use).
const LOCAL_ENDINGS: [&str; 4] = [".local", ".internal", ".home.arpa", ".localdomain"];

/// The form in which a URL is sent: parsed, its host normalised, without its fragment.
pub(super) fn check(policy: &EgressPolicy, text: &str) -> Result<Uri, Refusal> {
    if text.len() > CHARACTERS_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Refusal::Characters);
    }
    check_authority(text)?;
    let mut url = Url::parse(text).map_err(|_| Refusal::Form)?;
    let host = url.host().ok_or(Refusal::Form)?;
    if matches!(host, Host::Domain(name) if !is_name(name)) {
        return Err(Refusal::Form);
    }
    let is_loopback = is_loopback(&host);
    match url.scheme() {
        "https" => {}
        "http" if policy.unrestricted || policy.allow_plain => {}
        "http" if is_loopback && policy.allow_loopback => {}
        _ => return Err(Refusal::Scheme),
    }
    if !takes_host(policy, &host, url.scheme() == "https") {
        return Err(Refusal::Host);
    }
    if url.port() == Some(0) {
        return Err(Refusal::Port);
    }
    url.set_fragment(None);
    url.as_str().parse().map_err(|_| Refusal::Form)
}

/// The parser forgives what browsers forgive: missing slashes, backslashes, empty user names. Nobody means it.
fn check_authority(text: &str) -> Result<(), Refusal> {
    let (scheme, rest) = text.split_once("://").ok_or(Refusal::Form)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_scheme || authority.is_empty() || text.contains('\\') {
        return Err(Refusal::Form);
    }
    if authority.contains('@') {
        return Err(Refusal::Credentials);
    }
    Ok(())
}

fn takes_host(policy: &EgressPolicy, host: &Host<&str>, is_tls: bool) -> bool {
    match host {
        Host::Ipv4(address) => policy.admits((*address).into(), is_tls),
        Host::Ipv6(address) => policy.admits((*address).into(), is_tls),
        Host::Domain(name) if is_localhost(name) => policy.unrestricted || policy.allow_loopback,
        Host::Domain(name) if is_local(name) => policy.takes_local_names(),
        Host::Domain(_) => true,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
        Host::Domain(name) => is_localhost(name),
    }
}

/// Labels of letters, digits, hyphens and the underscore that some names have (RFC 1123, RFC 2181).
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && without_dot(name).split('.').all(is_label)
}

/// The parser has made names lower-case.
fn is_localhost(name: &str) -> bool {
    let name = without_dot(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn is_local(name: &str) -> bool {
    let name = without_dot(name);
    !name.contains('.') || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_loopback() -> EgressPolicy {
        EgressPolicy {
            allow_loopback: true,
            ..EgressPolicy::default()
        }
    }

    #[test]
    fn a_url_is_sent_in_its_normal_form() {
        for (text, sent) in [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://EXAMPLE.com:443/A?b=c#d", "https://example.com/A?b=c"),
            ("https://example.com:8443/a?b=c", "https://example.com:8443/a?b=c"),
            ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example/"),
            ("https://0x08080808/", "https://8.8.8.8/"),
            ("https://[2606:4700:0::1]/", "https://[2606:4700::1]/"),
            ("https://example.com./", "https://example.com./"),
        ] {
            let uri = EgressPolicy::default().check(text).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), Ok(sent), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", Refusal::Form),
            ("example.com", Refusal::Form),
            ("https:example.com://x", Refusal::Form),
            ("https:///path", Refusal::Form),
            ("https://a\\b/", Refusal::Form),
            ("https://8.8.8.8../", Refusal::Form),
            ("https://exa!mple.com/", Refusal::Form),
            ("http://example.com/", Refusal::Scheme),
            ("ftp://example.com/", Refusal::Scheme),
            ("https://user:pass@example.com/", Refusal::Credentials),
            ("https://@example.com/", Refusal::Credentials),
            ("https://example.com:0/", Refusal::Port),
            ("https://example.com:65536/", Refusal::Form),
            ("https://localhost/", Refusal::Host),
            ("https://a.localhost/", Refusal::Host),
            ("https://intranet/", Refusal::Host),
            ("https://metadata.google.internal/", Refusal::Host),
            ("https://printer.local./", Refusal::Host),
            ("https://2130706433/", Refusal::Host),
            ("https://[64:ff9b::7f00:1]/", Refusal::Host),
            ("https://example.com/\r\nX: y", Refusal::Characters),
            ("https://exa mple.com/", Refusal::Characters),
        ] {
            assert_eq!(EgressPolicy::default().check(text).err(), Some(why), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(CHARACTERS_MAX));
        assert_eq!(
            EgressPolicy::default().check(&long).err(),
            Some(Refusal::Characters)
        );
    }

    #[test]
    fn loopback_is_taken_only_when_it_is_allowed() {
        for text in [
            "http://127.0.0.1:9000/",
            "http://localhost:1/x",
            "http://a.localhost/",
            "http://[::1]:1/",
            "https://127.0.0.1/",
        ] {
            assert!(with_loopback().check(text).is_ok(), "{text}");
            assert!(EgressPolicy::default().check(text).is_err(), "{text}");
        }
        for text in [
            "http://10.0.0.1/",
            "http://u@127.0.0.1/",
            "http://intranet/",
            "https://10.0.0.1/",
        ] {
            assert!(with_loopback().check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn local_names_are_taken_where_a_network_is_listed() {
        let listed = EgressPolicy {
            allow_loopback: false,
            allowed_networks: vec!["10.1.0.0/16".parse().unwrap()],
            ..EgressPolicy::default()
        };
        for text in [
            "https://hooks.internal/",
            "https://intranet/",
            "https://10.1.2.3/",
        ] {
            assert!(listed.check(text).is_ok(), "{text}");
        }
        for text in [
            "https://localhost/",
            "http://hooks.internal/",
            "https://10.2.0.1/",
        ] {
            assert!(listed.check(text).is_err(), "{text}");
        }
    }
}

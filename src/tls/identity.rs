//! The name that a client certificate proves.
//!
//! [`ClientNames`] says which name counts. By default exactly one URI name of the scheme `spiffe` is the identity, and a
//! certificate without one is known by its first DNS name. The common name never counts, and a name that is not plainly
//! well-formed is no name: guessing what an authority meant is how one caller becomes another.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::settings::ClientNames;
use crate::access::Principal;

/// What every SPIFFE id begins with.
const SPIFFE: &str = "spiffe://";
/// The longest SPIFFE id, in bytes (SPIFFE-ID section 2.3).
const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// The longest trust domain, in bytes (SPIFFE-ID section 2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;
/// The longest DNS name and the longest label in it, in bytes.
const DNS_NAME_BYTES_MAX: usize = 253;
const DNS_LABEL_BYTES_MAX: usize = 63;

/// Who a verified certificate says the caller is: `spiffe://domain/path` or `dns:name`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    principal: Principal,
    fingerprint: [u8; 32],
}

impl PeerIdentity {
    /// The identity that a certificate claims: true once the certificate is verified, and not before. None when it has no
    /// name that counts.
    pub fn from_der(certificate: &[u8], names: ClientNames) -> Option<Self> {
        let der = certificate;
        let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        if !rest.is_empty() || (names == ClientNames::Spiffe && !is_leaf(&certificate)) {
            return None;
        }
        // An error here is a doubled or unreadable extension: no identity, rather than the half that was read.
        let found = certificate.subject_alternative_name().ok()??;
        let name = from_names(&found.value.general_names, names)?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        Some(Self {
            principal: Principal::verified(&name),
            fingerprint,
        })
    }

    /// The trust domain of a SPIFFE id; none for a DNS name.
    pub fn trust_domain(&self) -> Option<&str> {
        let (trust_domain, _path) = self.as_str().strip_prefix(SPIFFE)?.split_once('/')?;
        Some(trust_domain)
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        self.principal.as_str()
    }

    /// The identity as the name of a caller.
    pub fn principal(&self) -> Principal {
        self.principal.clone()
    }

    /// The SHA-256 of the whole certificate: what tokens are bound to (RFC 8705 section 3.1).
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// True when the key may sign handshakes, and no certificates and no lists (X509-SVID section 5.2; that a leaf is no
/// authority is checked with its chain). A certificate that does not say what its key is for is taken, one that says it
/// twice or unreadably is not.
fn is_leaf(certificate: &X509Certificate<'_>) -> bool {
    certificate.key_usage().is_ok_and(|usage| {
        usage.is_none_or(|usage| {
            let usage = usage.value;
            usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign()
        })
    })
}

fn from_names(names: &[GeneralName<'_>], counts: ClientNames) -> Option<String> {
    if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
        return None;
    }
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let mut dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    match counts {
        ClientNames::Spiffe => spiffe_id(uris.next()?).filter(|_| uris.next().is_none()),
        ClientNames::Dns => dns_name(dns.next()?).filter(|_| dns.next().is_none()),
        ClientNames::SpiffeOrDns => match (uris.next(), uris.next()) {
            (Some(_), Some(_)) => None,
            (Some(uri), None) if has_spiffe_scheme(uri) => spiffe_id(uri),
            // A single URI of another scheme names nothing that we know; the DNS names may still.
            _ => dns_name(dns.next()?),
        },
    }
}

fn spiffe_id(uri: &str) -> Option<String> {
    is_spiffe_id(uri).then(|| uri.to_owned())
}

/// DNS names compare without case, owners compare byte for byte.
fn dns_name(name: &str) -> Option<String> {
    is_dns_name(name).then(|| format!("dns:{}", name.to_ascii_lowercase()))
}

/// True for `SPIFFE:` too, so that an id in the wrong case is refused instead of passed over for a DNS name.
fn has_spiffe_scheme(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("spiffe"))
}

/// The grammar of the SPIFFE-ID standard. Its alphabet leaves out `?`, `#`, `@`, `:`, `%` and all control
/// characters, so queries, fragments, user names, ports and escapes cannot occur. A workload's id has a path.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((trust_domain, path)) = uri.strip_prefix(SPIFFE).and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let domain_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let segment_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(segment_byte);
    uri.len() <= SPIFFE_ID_BYTES_MAX
        && (1..=TRUST_DOMAIN_BYTES_MAX).contains(&trust_domain.len())
        && trust_domain.bytes().all(domain_byte)
        && path.split('/').all(segment)
}

/// A plain host name: no wildcard, no trailing dot, no address in disguise.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=DNS_LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_label = name.rsplit('.').next().unwrap_or(name);
    name.len() <= DNS_NAME_BYTES_MAX
        && name.split('.').all(label)
        && !last_label.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};

    use super::*;

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    fn identity_of(params: CertificateParams) -> Option<String> {
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerIdentity::from_der(certificate.der(), ClientNames::default())
            .map(|identity| identity.as_str().to_owned())
    }

    fn identity(names: Vec<SanType>) -> Option<String> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "root.example.org");
        params.subject_alt_names = names;
        identity_of(params)
    }

    #[test]
    fn one_spiffe_id_is_the_identity_whatever_stands_beside_it() {
        let id = "spiffe://example.org/ns/prod/sa/billing-2_a.b";
        for names in [
            vec![uri(id)],
            vec![dns("other.example.org"), uri(id)],
            vec![uri(id), SanType::IpAddress([127, 0, 0, 1].into())],
        ] {
            assert_eq!(identity(names).as_deref(), Some(id));
        }
    }

    #[test]
    fn without_a_spiffe_id_the_first_dns_name_counts() {
        assert_eq!(
            identity(vec![dns("Client.Example.org"), dns("b.org")]).as_deref(),
            Some("dns:client.example.org")
        );
        assert_eq!(
            identity(vec![uri("https://example.org/x"), dns("a_b.org")]).as_deref(),
            Some("dns:a_b.org")
        );
    }

    #[test]
    fn a_name_that_is_not_plain_is_no_identity() {
        let long_path = format!("spiffe://example.org/{}", "a".repeat(2048));
        let long_domain = format!("spiffe://{}/a", "a".repeat(256));
        for id in [
            "spiffe://",
            "spiffe:///a",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/./a",
            "spiffe://example.org/../a",
            "spiffe://Example.org/a",
            "SPIFFE://example.org/a",
            "spiffe:example.org/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://me@example.org/a",
            "spiffe://example.org:443/a",
            "spiffe://example.org/%61",
            "spiffe://example.org/a\0",
            "spiffe://example.org\0.evil.org/a",
            "spiffe://example.org/a\n",
            "spiffe://example.org/a b",
            "spiffe://*.example.org/a",
            &long_path,
            &long_domain,
        ] {
            assert_eq!(identity(vec![uri(id), dns("client.example.org")]), None, "{id:?}");
        }
        let long_name = ["a"; 128].join(".");
        let long_label = "a".repeat(64);
        for name in [
            "",
            "*.example.org",
            "*",
            "a.*.org",
            "example.org.",
            ".example.org",
            "a..b",
            "-a.org",
            "a-.org",
            "example.org\0.evil.org",
            "a b",
            "a\r\nb",
            "10.0.0.1",
            "a/b",
            "spiffe://a/b",
            &long_name,
            &long_label,
        ] {
            assert_eq!(
                identity(vec![dns(name), dns("second.example.org")]),
                None,
                "{name:?}"
            );
        }
    }

    #[test]
    fn several_uris_and_other_kinds_of_names_are_no_identity() {
        let id = "spiffe://example.org/a";
        assert_eq!(identity(vec![uri(id), uri("spiffe://example.org/b")]), None);
        assert_eq!(
            identity(vec![uri(id), uri("https://example.org"), dns("a.org")]),
            None
        );
        assert_eq!(identity(vec![]), None, "the common name must not count");
        assert_eq!(
            identity(vec![SanType::Rfc822Name("a@example.org".try_into().unwrap())]),
            None
        );
        assert_eq!(identity(vec![SanType::IpAddress([10, 0, 0, 1].into())]), None);
    }

    /// A subject alternative name extension with one entry of `tag` and these bytes.
    fn raw_names(tag: u8, bytes: &[u8]) -> CustomExtension {
        let mut content = vec![0x30, bytes.len() as u8 + 2, tag, bytes.len() as u8];
        content.extend_from_slice(bytes);
        CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
    }

    #[test]
    fn unreadable_extensions_are_no_identity() {
        let with = |extensions: Vec<CustomExtension>| {
            let mut params = CertificateParams::default();
            params.custom_extensions = extensions;
            identity_of(params)
        };
        let good = b"spiffe://example.org/a";
        assert_eq!(
            with(vec![raw_names(0x86, good)]).as_deref(),
            Some("spiffe://example.org/a")
        );
        assert_eq!(
            with(vec![raw_names(0x86, good), raw_names(0x86, good)]),
            None,
            "doubled"
        );
        assert_eq!(
            with(vec![raw_names(0x86, b"spiffe://ex\xff.org/a")]),
            None,
            "not UTF-8"
        );
        assert_eq!(
            with(vec![raw_names(0x86, "spiffe://ex\u{e4}mple.org/a".as_bytes())]),
            None,
            "not ASCII"
        );
        assert_eq!(
            with(vec![raw_names(0x82, "\u{430}.example.org".as_bytes())]),
            None,
            "not ASCII"
        );
        assert_eq!(PeerIdentity::from_der(b"junk", ClientNames::default()), None);
    }

    #[test]
    fn bytes_after_the_certificate_are_no_identity() {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri("spiffe://example.org/a")];
        let mut der = params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec();
        der.push(0);
        assert_eq!(PeerIdentity::from_der(&der, ClientNames::default()), None);
    }
}

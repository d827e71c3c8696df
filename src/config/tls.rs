//! `[tls]`: the server's certificate, who may connect, and by which name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::Problem;
use super::layers::dotted;
use super::schema::{choice, section};

/// The most bytes in a trust domain (SPIFFE-ID section 2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

choice! {
    /// Whether a client has to show a certificate.
    pub enum ClientCertificates {
        /// Mutual TLS: without a certificate signed by `client_ca_file` there is no connection.
        Required = "required",
        /// A certificate is checked when it is shown; callers may come by another credential.
        Optional = "optional",
        /// No certificate is asked for.
        Off = "off",
    }
}

choice! {
    /// Which name of a certificate says who the client is.
    pub enum ClientNames {
        /// The SPIFFE id where there is one, else the first DNS name.
        SpiffeOrDns = "spiffe-or-dns",
        /// Exactly one URI name, a SPIFFE id of a listed trust domain; no DNS name counts.
        Spiffe = "spiffe",
        /// Exactly one DNS name; no URI name counts.
        Dns = "dns",
    }
}

section! {
    /// A trust domain whose SPIFFE ids are taken. When none is listed, client_ca_file may name members of any; as soon
    /// as one is, the others are turned away. NAME is the domain, in quotes because of its dots.
    pub struct TrustDomain {
        /// PEM file with the authorities of this trust domain, which name its members and nobody else; absent:
        /// tls.client_ca_file.
        ca_file: Option<PathBuf> = None;
        /// PEM files with the revocation lists of these authorities, as tls.crl_files.
        crl_files: Vec<PathBuf> = Vec::new();
    }
}

section! {
    /// TLS of the listening socket; on as soon as `cert_file` is set. Relative paths start at the working directory.
    pub struct Tls {
        /// PEM file with the server's certificate and the chain above it. Setting it turns TLS on.
        cert_file: Option<PathBuf> = None;
        /// PEM file with the private key of `cert_file`; readable by the service's user only.
        key_file: Option<PathBuf> = None;
        /// PEM file with the authorities that sign client certificates. Needed unless client_certificates is "off" or
        /// every trust domain has a ca_file and nothing but SPIFFE ids counts.
        client_ca_file: Option<PathBuf> = None;
        /// Whether clients show a certificate: "required" (mutual TLS), "optional" or "off".
        client_certificates: ClientCertificates = ClientCertificates::Required;
        /// The name that says who a client is: "spiffe" (exactly one URI name, a SPIFFE id of a listed trust domain),
        /// "dns" (exactly one DNS name), or "spiffe-or-dns": the SPIFFE id, without one the first DNS name. The common
        /// name and wildcards never count.
        client_names: ClientNames = ClientNames::SpiffeOrDns;
        /// PEM files with the revocation lists of client_ca_file; a client on one of them is turned away, and cut off
        /// where it is connected.
        crl_files: Vec<PathBuf> = Vec::new();
        /// Accepts TLS 1.2 beside 1.3, for old clients only.
        allow_tls12: bool = false;
        /// Milliseconds between looks at these files: new certificates and revocations take effect without a restart. As
        /// often, open connections are closed whose client was revoked, has expired or lost its authority.
        reload_interval_ms: u64 = 5_000, 10..=3_600_000;
        /// The trust domains whose SPIFFE ids are taken.
        trust_domains: BTreeMap<String, TrustDomain> = BTreeMap::new();
    }
}

impl Tls {
    /// True when the socket speaks TLS.
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some()
    }

    /// What is missing, contradicts itself, or would be without effect.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if !self.is_on() {
            self.find_without_effect(
                &mut found,
                "without tls.cert_file; set that too, or take this out",
            );
            return found;
        }
        if self.key_file.is_none() {
            found.push(Problem::new(
                "tls.key_file",
                "is needed with tls.cert_file; name the file of its private key",
            ));
        }
        if self.client_certificates == ClientCertificates::Off {
            self.find_without_effect(
                &mut found,
                "while tls.client_certificates is \"off\"; take one of the two out",
            );
            return found;
        }
        self.check_trust_domains(&mut found);
        self.check_client_ca(&mut found);
        found
    }

    /// Keys that are set and do nothing. An authority alone may stay where clients are not asked: it is what is needed
    /// to ask them again.
    fn find_without_effect(&self, found: &mut Vec<Problem>, why: &str) {
        let keys = [
            ("tls.key_file", !self.is_on() && self.key_file.is_some()),
            (
                "tls.client_ca_file",
                !self.is_on() && self.client_ca_file.is_some(),
            ),
            ("tls.crl_files", !self.crl_files.is_empty()),
            ("tls.client_names", self.client_names != ClientNames::default()),
            ("tls.trust_domains", !self.trust_domains.is_empty()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, is_set)| *is_set) {
            found.push(Problem::new(key, format!("does nothing {why}")));
        }
    }

    fn check_trust_domains(&self, found: &mut Vec<Problem>) {
        match self.client_names {
            ClientNames::Spiffe if self.trust_domains.is_empty() => found.push(Problem::new(
                "tls.trust_domains",
                "is needed while tls.client_names is \"spiffe\"; list each trust domain that clients may be of, like \
                 [tls.trust_domains.\"example.org\"]",
            )),
            ClientNames::Dns if !self.trust_domains.is_empty() => found.push(Problem::new(
                "tls.trust_domains",
                "does nothing while tls.client_names is \"dns\"; take one of the two out",
            )),
            _ => {}
        }
        for (name, domain) in &self.trust_domains {
            let key = dotted(&["tls", "trust_domains", name].map(str::to_owned));
            if !is_trust_domain(name) {
                found.push(Problem::new(
                    key,
                    "is no trust domain; write what stands between spiffe:// and the next slash, like \"example.org\", \
                     in lower case",
                ));
            } else if domain.ca_file.is_none() && !domain.crl_files.is_empty() {
                found.push(Problem::new(
                    format!("{key}.crl_files"),
                    "does nothing without a ca_file here; set that too, or move the lists to tls.crl_files",
                ));
            }
        }
    }

    fn check_client_ca(&self, found: &mut Vec<Problem>) {
        let is_used = self.client_names != ClientNames::Spiffe
            || self.trust_domains.is_empty()
            || self.trust_domains.values().any(|domain| domain.ca_file.is_none());
        if is_used && self.client_ca_file.is_none() {
            found.push(Problem::new(
                "tls.client_ca_file",
                "is needed to check client certificates; name the file of their authorities, or say \
                 tls.client_certificates = \"off\"",
            ));
        }
        let idle = [
            ("tls.client_ca_file", self.client_ca_file.is_some()),
            ("tls.crl_files", !self.crl_files.is_empty()),
        ];
        for (key, _) in idle.into_iter().filter(|(_, is_set)| *is_set && !is_used) {
            found.push(Problem::new(
                key,
                "does nothing where every trust domain has a ca_file and only SPIFFE ids count; take it out",
            ));
        }
    }
}

fn is_trust_domain(name: &str) -> bool {
    (1..=TRUST_DOMAIN_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

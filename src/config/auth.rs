//! `[auth]`: which credentials callers may come by, and how they are checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Config;
use super::error::Problem;
use super::layers::dotted;
use super::schema::{DAY_MS, choice, section};
use super::tls::ClientCertificates;
use super::validate::check_networks;

/// The algorithms that a token may be signed with.
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The ways in which credentials may be combined.
const COMBINATIONS: [&str; 5] = [
    "certificate",
    "jwt",
    "api-key",
    "certificate+jwt",
    "certificate+api-key",
];

choice! {
    /// Which organisation a client certificate belongs to.
    pub enum CertificateOrganisation {
        /// To none.
        None = "none",
        /// To its SPIFFE trust domain; a certificate that is known by a DNS name belongs to none.
        TrustDomain = "trust-domain",
    }
}

section! {
    /// An issuer of JSON Web Tokens (RFC 7519). Issuer and audiences are enough where it is an OpenID provider.
    pub struct Issuer {
        /// The issuer as its tokens name it in `iss`, character by character: https and without a query.
        issuer: String = String::new();
        /// The names of this runtime, one of which a token has to have in `aud`.
        audiences: Vec<String> = Vec::new();
        /// The algorithms that its keys may sign with: RS256, ES256, EdDSA.
        algorithms: Vec<String> = ALGORITHMS.map(str::to_owned).to_vec();
        /// JSON file with its public keys (a JWK set, RFC 7517), read again when it changes; absent: keys_url.
        keys_file: Option<PathBuf> = None;
        /// URL of its public keys; absent: what its discovery document says (OpenID Connect Discovery).
        keys_url: Option<String> = None;
        /// Lets the issuer be on loopback, by plain http too. For development and tests.
        allow_loopback: bool = false;
        /// Networks that are not public in which the issuer may be, like "10.1.0.0/16".
        allowed_networks: Vec<String> = Vec::new();
        /// The claim that names the caller.
        principal_claim: String = "sub".to_owned();
        /// The claim with the scopes: one text with blanks between them, or a list. A claim within another is written
        /// with a dot.
        scopes_claim: String = "scope".to_owned();
        /// The claim that names the caller's organisation; absent: organisation. Issuers, trust domains and API keys that
        /// name the same one are trusted alike: say in organisations which ones this issuer may name.
        organisation_claim: Option<String> = None;
        /// The organisations that organisation_claim may name; a `*` at the end stands for any rest. A token that names
        /// another one is a bad credential. Empty: any.
        organisations: Vec<String> = Vec::new();
        /// The organisation of all its callers.
        organisation: Option<String> = None;
        /// Milliseconds after which its keys are fetched again; a file is looked at every auth.reload_interval_ms.
        refresh_interval_ms: u64 = 600_000, 1_000..=DAY_MS;
        /// Milliseconds at least between two fetches, also when a token names a key that is not known.
        refresh_pause_ms: u64 = 30_000, 100..=DAY_MS;
        /// Milliseconds for which keys are good while the issuer can't be reached.
        stale_ms_max: u64 = 86_400_000, 1_000..=31 * DAY_MS;
    }
}

section! {
    /// API keys, made by `a2ad keys create` and kept in the database as keyed hashes.
    pub struct ApiKeys {
        /// Takes API keys, in the header x-api-key.
        enabled: bool = false;
        /// Milliseconds for which a key that was looked up is taken without looking again: how long one that was revoked
        /// still works.
        cache_ttl_ms: u64 = 2_000, 0..=5_000;
    }
}

section! {
    /// Client certificates as credentials; `[tls]` says which are good.
    pub struct Certificates {
        /// The organisation that a certificate belongs to: "none", or "trust-domain".
        organisation: CertificateOrganisation = CertificateOrganisation::None;
    }
}

section! {
    /// How callers say who they are. As soon as there is one way, nobody comes in without a credential.
    pub struct Auth {
        /// The credentials that are enough, of "certificate", "jwt", "api-key", "certificate+jwt" and
        /// "certificate+api-key"; absent: any one that is configured. Beside a certificate, a token or key says who
        /// the caller is.
        accept: Vec<String> = Vec::new();
        /// The issuers whose tokens are taken, by names of your own.
        issuers: BTreeMap<String, Issuer> = BTreeMap::new();
        /// API keys of this runtime's own.
        api_keys: ApiKeys = ApiKeys::default();
        /// Client certificates as credentials.
        certificates: Certificates = Certificates::default();
        /// Seconds by which an issuer's clock may be off from this machine's.
        clock_leeway_s: u64 = 60, 0..=600;
        /// The most bytes in a token.
        token_bytes_max: usize = 8_192, 512..=65_536;
        /// Credentials that were checked and are remembered, each by its hash.
        cache_entries_max: usize = 10_000, 16..=1_000_000;
        /// Milliseconds for which a token that was checked is taken without checking again; never beyond its own end.
        cache_ttl_ms: u64 = 300_000, 0..=DAY_MS;
        /// Milliseconds that a call waits for an issuer's keys.
        keys_timeout_ms: u64 = 5_000, 100..=60_000;
        /// Milliseconds between looks at the token or key behind an open stream: how long one goes on that was revoked or
        /// has expired.
        credential_interval_ms: u64 = 3_000, 10..=60_000;
        /// Milliseconds between looks at key files.
        reload_interval_ms: u64 = 5_000, 10..=3_600_000;
    }
}

impl Config {
    /// True when clients may show certificates, which then say who they are.
    pub fn takes_certificates(&self) -> bool {
        self.tls.is_on() && self.tls.client_certificates != ClientCertificates::Off
    }

    /// True when callers have to say who they are.
    pub fn is_authenticated(&self) -> bool {
        self.takes_certificates() || !self.auth.issuers.is_empty() || self.auth.api_keys.enabled
    }

    /// True when some credential can say which organisation its bearer belongs to.
    pub(super) fn names_organisations(&self) -> bool {
        let by_issuer =
            |issuer: &Issuer| issuer.organisation_claim.is_some() || issuer.organisation.is_some();
        let by_certificate = self.takes_certificates()
            && self.auth.certificates.organisation == CertificateOrganisation::TrustDomain;
        by_certificate || self.auth.api_keys.enabled || self.auth.issuers.values().any(by_issuer)
    }
}

impl Auth {
    /// What is missing, contradicts itself, or would be without effect; `has_certificates` when clients may show one,
    /// `in_memory` when the database ends with the process.
    pub(super) fn problems(&self, has_certificates: bool, in_memory: bool) -> Vec<Problem> {
        let mut found = Vec::new();
        for (name, issuer) in &self.issuers {
            let key = |field: &str| dotted(&["auth", "issuers", name, field].map(str::to_owned));
            issuer.check(&key, &mut found);
        }
        self.check_unique_issuers(&mut found);
        if self.api_keys.enabled && in_memory {
            found.push(Problem::new(
                "auth.api_keys.enabled",
                "needs a database that lasts: keys are made beside the server; set database.url, or take this out",
            ));
        }
        for word in &self.accept {
            self.check_combination(word, has_certificates, &mut found);
        }
        found
    }

    fn check_unique_issuers(&self, found: &mut Vec<Problem>) {
        let mut seen = BTreeMap::new();
        for (name, issuer) in &self.issuers {
            if let Some(other) = seen.insert(&issuer.issuer, name) {
                found.push(Problem::new(
                    dotted(&["auth", "issuers", name, "issuer"].map(str::to_owned)),
                    format!("is the same as that of {other}; keep one of the two"),
                ));
            }
        }
    }

    fn check_combination(&self, word: &str, has_certificates: bool, found: &mut Vec<Problem>) {
        let key = "auth.accept";
        if !COMBINATIONS.contains(&word) {
            let known = COMBINATIONS.join("\", \"");
            found.push(Problem::new(
                key,
                format!("`{word}` is no combination; write some of \"{known}\""),
            ));
            return;
        }
        let missing = [
            ("certificate", has_certificates, "tls.client_ca_file"),
            ("jwt", !self.issuers.is_empty(), "auth.issuers"),
            ("api-key", self.api_keys.enabled, "auth.api_keys.enabled"),
        ];
        for (part, _, setting) in missing
            .into_iter()
            .filter(|(part, is_on, _)| !is_on && word.split('+').any(|one| one == *part))
        {
            found.push(Problem::new(
                key,
                format!("`{word}` needs a {part}, and none is taken; set {setting} too"),
            ));
        }
    }
}

impl Issuer {
    fn check(&self, key: &dyn Fn(&str) -> String, found: &mut Vec<Problem>) {
        let is_url = |text: &str| {
            text.split_once("://")
                .is_some_and(|(scheme, rest)| matches!(scheme, "https" | "http") && !rest.is_empty())
                && !text.contains(['?', '#', ' ', '@'])
        };
        if !is_url(&self.issuer) {
            found.push(Problem::new(
                key("issuer"),
                "is no issuer; write the URL that stands in its tokens as `iss`, without query and fragment",
            ));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            found.push(Problem::new(
                key("audiences"),
                "is needed: a token for somebody else must not work here; write what its tokens for this runtime have as `aud`",
            ));
        }
        for algorithm in &self.algorithms {
            if !ALGORITHMS.contains(&algorithm.as_str()) {
                found.push(Problem::new(
                    key("algorithms"),
                    format!(
                        "`{algorithm}` is not taken; write some of \"{}\"",
                        ALGORITHMS.join("\", \"")
                    ),
                ));
            }
        }
        if self.algorithms.is_empty() {
            found.push(Problem::new(key("algorithms"), "is empty; name one at least"));
        }
        if self.keys_file.is_some() && self.keys_url.is_some() {
            found.push(Problem::new(
                key("keys_url"),
                "stands beside keys_file; keep one of the two",
            ));
        }
        if self.keys_url.as_deref().is_some_and(|url| !is_url(url)) {
            found.push(Problem::new(
                key("keys_url"),
                "is no URL; write https://, a host and a path",
            ));
        }
        found.extend(check_networks(&key("allowed_networks"), &self.allowed_networks));
        if self.organisation_claim.is_some() && self.organisation.is_some() {
            found.push(Problem::new(
                key("organisation"),
                "stands beside organisation_claim; keep one of the two",
            ));
        }
        if self.organisation_claim.is_none() && !self.organisations.is_empty() {
            found.push(Problem::new(
                key("organisations"),
                "limits nothing without organisation_claim; set that too, or take this out",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_credentials_is_authenticated() {
        let mut config = Config::default();
        assert!(!config.is_authenticated());
        config.tls.cert_file = Some("server.pem".into());
        assert!(config.is_authenticated());
        config.tls.client_certificates = ClientCertificates::Off;
        assert!(!config.is_authenticated());
    }
}

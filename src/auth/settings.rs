//! What the room has to be told.

use std::path::PathBuf;
use std::time::Duration;

use crate::access::{Names, Policy};
use crate::egress::EgressPolicy;

/// The credentials that a caller has to show together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// A client certificate, and nothing else.
    Certificate,
    /// A token.
    Jwt,
    /// An API key.
    ApiKey,
    /// A token over a connection with a client certificate.
    CertificateAndJwt,
    /// An API key over a connection with a client certificate.
    CertificateAndApiKey,
}

impl Combination {
    /// True when a client certificate is a part of it.
    pub fn has_certificate(self) -> bool {
        matches!(
            self,
            Self::Certificate | Self::CertificateAndJwt | Self::CertificateAndApiKey
        )
    }

    /// True when a token is a part of it.
    pub fn has_jwt(self) -> bool {
        matches!(self, Self::Jwt | Self::CertificateAndJwt)
    }

    /// True when an API key is a part of it.
    pub fn has_api_key(self) -> bool {
        matches!(self, Self::ApiKey | Self::CertificateAndApiKey)
    }
}

/// Where an issuer's public keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with a JWK set.
    File(PathBuf),
    /// A URL with a JWK set.
    Url(String),
    /// The `jwks_uri` of the issuer's discovery document (OpenID Connect Discovery 1.0 section 4).
    Discovery,
}

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// What the operator calls it.
    pub name: String,
    /// Its `iss`, compared byte for byte.
    pub issuer: String,
    /// The audiences, one of which a token has to name.
    pub audiences: Vec<String>,
    /// The algorithms that are taken.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Where it may be.
    pub egress: EgressPolicy,
    /// The claim that names the caller.
    pub principal_claim: String,
    /// The claim with the scopes.
    pub scopes_claim: String,
    /// The claim with the organisation.
    pub organisation_claim: Option<String>,
    /// The organisations that the claim may name; `None` for any.
    pub organisations: Option<Names>,
    /// The organisation of all callers.
    pub organisation: Option<String>,
    /// How old keys get before they are fetched again.
    pub refresh_interval: Duration,
    /// The least time between two fetches.
    pub refresh_pause: Duration,
    /// How old keys may get while they can't be fetched.
    pub stale_max: Duration,
}

/// API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKeySettings {
    /// How long a key that was looked up is taken without looking again.
    pub cache_ttl: Duration,
}

/// How callers are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// Whether client certificates are asked for.
    pub certificates: bool,
    /// Whether a SPIFFE id's trust domain is the organisation of its bearer.
    pub trust_domain_is_organisation: bool,
    /// The issuers whose tokens are taken.
    pub issuers: Vec<IssuerSettings>,
    /// API keys, where they are taken.
    pub api_keys: Option<ApiKeySettings>,
    /// The combinations that are enough.
    pub accept: Vec<Combination>,
    /// What a caller may do.
    pub policy: Policy,
    /// By how much an issuer's clock may be off.
    pub clock_leeway: Duration,
    /// The most bytes in a token.
    pub token_bytes_max: usize,
    /// Verified credentials that are remembered.
    pub cache_entries_max: usize,
    /// How long a verified token is remembered.
    pub cache_ttl: Duration,
    /// How long a call waits for an issuer's keys.
    pub keys_timeout: Duration,
    /// How often key files are looked at.
    pub reload_interval: Duration,
}

impl AuthSettings {
    /// No credentials: everybody is anonymous.
    pub fn open() -> Self {
        Self {
            certificates: false,
            trust_domain_is_organisation: false,
            issuers: Vec::new(),
            api_keys: None,
            accept: Vec::new(),
            policy: Policy::default(),
            clock_leeway: Duration::from_secs(60),
            token_bytes_max: 8_192,
            cache_entries_max: 16,
            cache_ttl: Duration::from_secs(300),
            keys_timeout: Duration::from_secs(5),
            reload_interval: Duration::from_secs(5),
        }
    }

    /// True when callers have to say who they are.
    pub fn is_on(&self) -> bool {
        self.certificates || !self.issuers.is_empty() || self.api_keys.is_some()
    }
}

//! The one way from a request to its caller.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;

use super::api_key::{ApiKey, ApiKeys};
use super::challenge::challenge;
use super::error::{Failure, Reason, SetupError};
use super::hex;
use super::jwt::{Issuer, Surroundings, Token, Verified};
use super::presented::Presented;
use super::settings::{AuthSettings, Combination};
use crate::access::{Attributes, Caller, Credential, CredentialKind, Identity, Principal};
use crate::clock::Clock;
use crate::egress::Egress;
use crate::error::Error;
use crate::repository::ApiKeyRepository;
use crate::secrets::KeySource;
use crate::shutdown::Shutdown;
use crate::tls::PeerIdentity;

/// Finds out who calls. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    settings: AuthSettings,
    clock: Clock,
    anonymous: Arc<Caller>,
    issuers: HashMap<String, Issuer>,
    api_keys: Option<ApiKeys>,
    /// Tokens that were verified, by their SHA-256.
    tokens: Cache<[u8; 32], Remembered>,
    /// Callers by the fingerprint of their certificate; the handshake verified it, and open connections are watched.
    certificates: Cache<[u8; 32], Arc<Caller>>,
}

/// A token that was verified.
#[derive(Clone)]
struct Remembered {
    caller: Arc<Caller>,
    bound_to: Option<Arc<str>>,
    /// Its `iss`, and that issuer's keys at that time.
    issuer: Arc<str>,
    keys_version: u64,
    until_ms: i64,
}

/// What authentication needs of the rest of the runtime.
pub struct Needs<'a> {
    /// The time of day.
    pub clock: Clock,
    /// Who ends background tasks.
    pub shutdown: &'a Shutdown,
    /// The way out to issuers.
    pub egress: &'a Egress,
    /// Where API keys are kept.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// What API keys are hashed with.
    pub secrets: KeySource,
}

impl Authenticator {
    /// Everybody is anonymous and may do everything.
    pub fn open() -> Self {
        Self::with(AuthSettings::open(), Clock::system(), HashMap::new(), None)
    }

    /// Authentication as it is configured.
    ///
    /// # Errors
    /// When a key file can't be used, or a URL of an issuer may not be asked.
    pub async fn new(settings: AuthSettings, needs: Needs<'_>) -> Result<Self, SetupError> {
        let around = Surroundings {
            clock: &needs.clock,
            shutdown: needs.shutdown,
            egress: needs.egress,
            leeway: settings.clock_leeway,
            keys_timeout: settings.keys_timeout,
            reload_interval: settings.reload_interval,
            claims: settings.policy.claims().into_iter().map(str::to_owned).collect(),
        };
        let mut issuers = HashMap::new();
        for issuer in &settings.issuers {
            let issuer = Issuer::open(issuer.clone(), &around).await?;
            issuers.insert(issuer.iss().to_owned(), issuer);
        }
        let api_keys = settings.api_keys.map(|keys| {
            ApiKeys::new(
                needs.keys,
                needs.secrets,
                needs.clock.clone(),
                keys.cache_ttl,
                settings.cache_entries_max,
            )
        });
        Ok(Self::with(settings, needs.clock, issuers, api_keys))
    }

    fn with(
        settings: AuthSettings,
        clock: Clock,
        issuers: HashMap<String, Issuer>,
        api_keys: Option<ApiKeys>,
    ) -> Self {
        let entries = settings.cache_entries_max;
        Self(Arc::new(Inner {
            clock,
            anonymous: Arc::new(Caller::anonymous()),
            issuers,
            api_keys,
            tokens: Cache::new(entries),
            certificates: Cache::new(entries),
            settings,
        }))
    }

    /// True when callers have to say who they are.
    pub fn is_on(&self) -> bool {
        self.0.settings.is_on()
    }

    /// How callers are authenticated.
    pub fn settings(&self) -> &AuthSettings {
        &self.0.settings
    }

    /// The caller of a request.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn authenticate(&self, presented: Presented<'_>) -> Result<Arc<Caller>, Failure> {
        if !self.is_on() {
            return Ok(self.0.anonymous.clone());
        }
        let certificate = presented.certificate;
        match self.0.counts(&presented)? {
            Counts::Certificate(identity) => self.0.by_certificate(identity),
            Counts::Jwt(token) => self.0.by_token(token, certificate).await,
            Counts::ApiKey(key) => self.0.by_api_key(key).await,
        }
    }

    /// How long the credential of a caller is good by its own word.
    pub fn time_left(&self, caller: &Caller) -> Duration {
        let left_ms = caller
            .expires_ms
            .map_or(i64::MAX, |end| end.saturating_sub(self.0.clock.now_ms()));
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    /// Whether a caller that was let in would be let in again: its credential may have ended, or been revoked, or the key
    /// that signed it withdrawn. A certificate is watched with its connection, and not here.
    ///
    /// # Errors
    /// What is wrong with it now.
    pub async fn still_stands(&self, caller: &Caller) -> Result<(), Reason> {
        if caller.expires_ms.is_some_and(|end| end <= self.0.clock.now_ms()) {
            return Err(Reason::Expired);
        }
        if let Some(signer) = &caller.credential.signer {
            let issuer = self.0.issuers.get(&*signer.issuer);
            // Keys that can't be had at the moment throw nobody out; those that were withdrawn do.
            if issuer.is_some_and(|issuer| issuer.has_keys() && !issuer.has(signer.key)) {
                return Err(Reason::Signature);
            }
        }
        match (&self.0.api_keys, caller.credential.kind) {
            (Some(keys), CredentialKind::ApiKey) => keys.still_stands(&caller.credential.id).await,
            _ => Ok(()),
        }
    }

    /// A failure as its caller is told: UNAUTHENTICATED with a challenge, or UNAVAILABLE.
    pub fn error(&self, failure: &Failure) -> Error {
        match failure {
            Failure::Unavailable(why) => Error::unavailable(*why),
            Failure::Refused { kind, reason } => {
                let challenge = challenge(&self.0.settings, *kind, *reason);
                Error::unauthenticated(reason.to_string(), challenge).with("credential", reason.told())
            }
        }
    }
}

/// The credential that says who calls.
enum Counts<'a> {
    Certificate(&'a PeerIdentity),
    Jwt(&'a str),
    ApiKey(&'a str),
}

impl Inner {
    /// Which credential counts, and whether what was shown is enough. One that came is never passed over for another:
    /// a bad token beside a good certificate is a bad token.
    fn counts<'a>(&self, presented: &Presented<'a>) -> Result<Counts<'a>, Failure> {
        let takes_tokens = !self.settings.issuers.is_empty();
        let token = match presented.bearer() {
            _ if !takes_tokens => None,
            read => read.map_err(|reason| Failure::of(CredentialKind::Jwt, reason))?,
        };
        let key = match presented.api_key() {
            _ if self.api_keys.is_none() => None,
            read => read.map_err(|reason| Failure::of(CredentialKind::ApiKey, reason))?,
        };
        let certificate = presented.certificate.filter(|_| self.settings.certificates);
        let has_certificate = certificate.is_some();
        let (counts, kind) = match (token, key, certificate) {
            (Some(_), Some(_), _) => return Err(Failure::of(CredentialKind::None, Reason::Ambiguous)),
            (Some(token), None, _) => (Counts::Jwt(token), CredentialKind::Jwt),
            (None, Some(key), _) => (Counts::ApiKey(key), CredentialKind::ApiKey),
            (None, None, Some(identity)) => (Counts::Certificate(identity), CredentialKind::Certificate),
            (None, None, None) => return Err(Failure::of(CredentialKind::None, Reason::Missing)),
        };
        let is_enough = |accepted: &Combination| match kind {
            CredentialKind::Jwt => accepted.has_jwt() && (has_certificate || !accepted.has_certificate()),
            CredentialKind::ApiKey => {
                accepted.has_api_key() && (has_certificate || !accepted.has_certificate())
            }
            CredentialKind::Certificate => *accepted == Combination::Certificate,
            CredentialKind::None => false,
        };
        if self.settings.accept.iter().any(is_enough) {
            Ok(counts)
        } else {
            Err(Failure::of(kind, Reason::Insufficient))
        }
    }

    fn by_certificate(&self, certificate: &PeerIdentity) -> Result<Arc<Caller>, Failure> {
        if let Some(caller) = self.certificates.get(certificate.fingerprint()) {
            return Ok(caller);
        }
        let organisation = self
            .settings
            .trust_domain_is_organisation
            .then(|| certificate.trust_domain().map(Arc::from))
            .flatten();
        let caller = self.admitted(Identity {
            principal: certificate.principal(),
            organisation,
            credential: Credential {
                kind: CredentialKind::Certificate,
                id: Arc::from(hex(certificate.fingerprint())),
                signer: None,
            },
            scopes: Arc::from([]),
            attributes: Attributes::default(),
            expires_ms: None,
        })?;
        self.certificates
            .insert(*certificate.fingerprint(), caller.clone());
        Ok(caller)
    }

    async fn by_token(&self, text: &str, certificate: Option<&PeerIdentity>) -> Result<Arc<Caller>, Failure> {
        let refused = |reason| Failure::of(CredentialKind::Jwt, reason);
        if text.len() > self.settings.token_bytes_max {
            return Err(refused(Reason::Malformed));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        let known = self.tokens.get(&hash).filter(|known| self.is_current(known));
        let remembered = match known {
            Some(known) => known,
            None => {
                let fresh = self.verify(text, &hash).await?;
                self.tokens.insert(hash, fresh.clone());
                fresh
            }
        };
        // The token was good; whether it is good over this connection is another question for each request.
        if let Some(bound_to) = &remembered.bound_to {
            let shown = certificate.map(|certificate| URL_SAFE_NO_PAD.encode(certificate.fingerprint()));
            if shown.as_deref() != Some(&**bound_to) {
                return Err(refused(Reason::Binding));
            }
        }
        Ok(remembered.caller)
    }

    fn is_current(&self, known: &Remembered) -> bool {
        let issuer = self.issuers.get(&*known.issuer);
        known.until_ms > self.clock.now_ms()
            && issuer.is_some_and(|issuer| issuer.has_keys() && issuer.keys_version() == known.keys_version)
    }

    async fn verify(&self, text: &str, hash: &[u8; 32]) -> Result<Remembered, Failure> {
        let refused = |reason| Failure::of(CredentialKind::Jwt, reason);
        let token = Token::parse(text).map_err(refused)?;
        let iss = token.issuer().map_err(refused)?;
        let issuer = self
            .issuers
            .get(iss)
            .ok_or_else(|| refused(Reason::UnknownIssuer))?;
        // Read before the keys are: if they change in between, it is verified once too often.
        let keys_version = issuer.keys_version();
        let Verified {
            mut identity,
            bound_to,
        } = issuer.verify(&token).await?;
        if identity.credential.id.is_empty() {
            identity.credential.id = Arc::from(format!("sha256:{}", hex(&hash[..8])));
        }
        let ttl_ms = i64::try_from(self.settings.cache_ttl.as_millis()).unwrap_or(i64::MAX);
        let ttl_end = self.clock.now_ms().saturating_add(ttl_ms);
        let until_ms = identity.expires_ms.unwrap_or(i64::MAX).min(ttl_end);
        Ok(Remembered {
            caller: self.admitted(identity)?,
            bound_to,
            issuer: Arc::from(iss),
            keys_version,
            until_ms,
        })
    }

    async fn by_api_key(&self, text: &str) -> Result<Arc<Caller>, Failure> {
        let refused = |reason| Failure::of(CredentialKind::ApiKey, reason);
        let Some(keys) = &self.api_keys else {
            return Err(refused(Reason::Insufficient));
        };
        let key = ApiKey::parse(text).ok_or_else(|| refused(Reason::Malformed))?;
        let record = keys.verify(&key).await?;
        if let Some(caller) = record.caller.get() {
            return Ok(caller.clone());
        }
        let caller = self.admitted(Identity {
            principal: Principal::verified(&format!("key:{}", record.row.name)),
            organisation: record.row.organisation.as_deref().map(Arc::from),
            credential: Credential {
                kind: CredentialKind::ApiKey,
                id: Arc::from(&*record.row.id),
                signer: None,
            },
            scopes: record
                .row
                .scopes
                .iter()
                .map(|scope| Arc::from(&**scope))
                .collect(),
            attributes: Attributes::default(),
            expires_ms: record.row.expires_ms,
        })?;
        Ok(record.caller.get_or_init(|| caller).clone())
    }

    fn admitted(&self, identity: Identity) -> Result<Arc<Caller>, Failure> {
        let kind = identity.credential.kind;
        let caller = self.settings.policy.caller(identity);
        caller
            .map(Arc::new)
            .map_err(|refusal| Failure::of(kind, refusal.into()))
    }
}

impl From<crate::access::Refusal> for Reason {
    fn from(refusal: crate::access::Refusal) -> Self {
        match refusal {
            crate::access::Refusal::NoOrganisation => Self::NoOrganisation,
        }
    }
}

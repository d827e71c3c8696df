//! One issuer, and what it takes for a token of its.

use std::sync::Arc;
use std::time::Duration;

use super::claims::Claims;
use super::source::{KeyFeed, NoKeys};
use super::token::Token;
use crate::access::{Attributes, Credential, CredentialKind, Identity, Names, Principal, Signer};
use crate::auth::error::{Failure, Reason, SetupError};
use crate::auth::settings::IssuerSettings;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::shutdown::Shutdown;

/// An issuer whose tokens are taken.
pub(in crate::auth) struct Issuer {
    settings: IssuerSettings,
    keys: KeyFeed,
    clock: Clock,
    leeway_ms: i64,
    /// The claims that the rules speak of.
    claims: Arc<[String]>,
}

/// What a good token says.
pub(in crate::auth) struct Verified {
    pub(in crate::auth) identity: Identity,
    /// The fingerprint of the client certificate that it has to come over, in base64url.
    pub(in crate::auth) bound_to: Option<Arc<str>>,
}

/// What all issuers have in common.
pub(in crate::auth) struct Surroundings<'a> {
    pub(in crate::auth) clock: &'a Clock,
    pub(in crate::auth) shutdown: &'a Shutdown,
    pub(in crate::auth) egress: &'a Egress,
    pub(in crate::auth) leeway: Duration,
    pub(in crate::auth) keys_timeout: Duration,
    pub(in crate::auth) reload_interval: Duration,
    pub(in crate::auth) claims: Arc<[String]>,
}

impl Issuer {
    /// Begins to follow the issuer's keys.
    ///
    /// # Errors
    /// When its key file can't be used, or its URLs may not be asked.
    pub(in crate::auth) async fn open(
        settings: IssuerSettings,
        around: &Surroundings<'_>,
    ) -> Result<Self, SetupError> {
        let keys = KeyFeed::open(&settings, around).await?;
        Ok(Self {
            keys,
            clock: around.clock.clone(),
            leeway_ms: i64::try_from(around.leeway.as_millis()).unwrap_or(i64::MAX),
            claims: around.claims.clone(),
            settings,
        })
    }

    /// Its `iss`.
    pub(in crate::auth) fn iss(&self) -> &str {
        &self.settings.issuer
    }

    /// A number that changes with its keys: what was verified under another one has to be verified again.
    pub(in crate::auth) fn keys_version(&self) -> u64 {
        self.keys.version()
    }

    /// Whether its keys are known and not too old to be believed.
    pub(in crate::auth) fn has_keys(&self) -> bool {
        self.keys.is_fresh()
    }

    /// Verifies a token that says that it is of this issuer.
    ///
    /// # Errors
    /// What is wrong with it; unavailable when the keys are.
    pub(in crate::auth) async fn verify(&self, token: &Token<'_>) -> Result<Verified, Failure> {
        let refused = |reason| Failure::of(CredentialKind::Jwt, reason);
        if !self.settings.algorithms.contains(&token.algorithm) {
            return Err(refused(Reason::Unsupported));
        }
        let keys = match self.keys.for_token(token).await {
            Ok(keys) => keys,
            Err(NoKeys::NoneFits) => return Err(refused(Reason::Signature)),
            Err(NoKeys::Away) => {
                return Err(Failure::Unavailable(
                    "the keys of the token's issuer can't be had at the moment; try again",
                ));
            }
        };
        let key = keys.verify(token).map_err(refused)?;
        self.believe(token, key).map_err(refused)
    }

    /// Whether a key that has signed a token is still one of the issuer's.
    pub(in crate::auth) fn has(&self, key: [u8; 32]) -> bool {
        self.keys.has(key)
    }

    /// The organisation that a token's bearer belongs to, if the issuer may say so.
    fn organisation<'t>(&'t self, claims: &'t Claims) -> Result<Option<&'t str>, Reason> {
        let settings = &self.settings;
        let Some(claim) = &settings.organisation_claim else {
            return Ok(settings.organisation.as_deref());
        };
        if !claims.has(claim) {
            return Ok(None);
        }
        // One that is there and unfit is not none: its bearer belongs somewhere, and nobody can tell where.
        let name = claims.name(claim)?;
        let may_name = |listed: &Names| listed.contains(name);
        match settings.organisations.as_ref().is_none_or(may_name) {
            true => Ok(Some(name)),
            false => Err(Reason::Organisation),
        }
    }

    /// The claims of a token whose signature is good.
    fn believe(&self, token: &Token<'_>, key: [u8; 32]) -> Result<Verified, Reason> {
        let (settings, claims) = (&self.settings, &token.claims);
        if claims.issuer()? != settings.issuer {
            return Err(Reason::UnknownIssuer);
        }
        let expires_ms = claims.check_times(self.clock.now_ms(), self.leeway_ms)?;
        if !claims.is_for(&settings.audiences) {
            return Err(Reason::Audience);
        }
        let name = claims.name(&settings.principal_claim)?;
        let organisation = self.organisation(claims)?;
        let mut attributes = Attributes::default();
        for claim in self.claims.iter() {
            attributes.set(claim, claims.values(claim));
        }
        let id = claims.name("jti").unwrap_or_default();
        let identity = Identity {
            principal: Principal::verified(&format!("jwt:{}#{name}", settings.issuer)),
            organisation: organisation.map(Arc::from),
            credential: Credential {
                kind: CredentialKind::Jwt,
                id: Arc::from(id),
                signer: Some(Signer {
                    issuer: Arc::from(settings.issuer.as_str()),
                    key,
                }),
            },
            scopes: claims.scopes(&settings.scopes_claim).into(),
            attributes,
            expires_ms: Some(expires_ms.saturating_add(self.leeway_ms)),
        };
        Ok(Verified {
            identity,
            bound_to: claims.bound_to()?.map(Arc::from),
        })
    }
}

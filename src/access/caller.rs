//! A caller, as authentication knows it.

use std::sync::Arc;

use super::{Grants, Principal};

/// By what a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// By nothing: no authenticator is configured.
    None,
    /// By the client certificate of its connection.
    Certificate,
    /// By a JSON Web Token.
    Jwt,
    /// By an API key.
    ApiKey,
}

impl CredentialKind {
    /// The word for it, as configuration, logs and audit records have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Certificate => "certificate",
            Self::Jwt => "jwt",
            Self::ApiKey => "api-key",
        }
    }
}

/// Which credential it was: enough to find and revoke it, and nothing to use it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What kind it is of.
    pub kind: CredentialKind,
    /// The certificate's SHA-256 fingerprint, the token's `jti` (or the beginning of its SHA-256), the key's id; empty for
    /// none.
    pub id: Arc<str>,
    /// Who signed a token, and with which key.
    pub signer: Option<Signer>,
}

/// The key that made a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The issuer, as its tokens name it.
    pub issuer: Arc<str>,
    /// The SHA-256 of its public key.
    pub key: [u8; 32],
}

/// Who calls, by which credential, for whom, and what it may do. Made once for each credential and shared by its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the caller.
    pub principal: Principal,
    /// Whose tasks the caller works on: its own, or those of a space that it shares with others, within its organisation.
    pub owner: Principal,
    /// The organisation that the caller belongs to, where its credential says so.
    pub organisation: Option<Arc<str>>,
    /// By which credential it is known.
    pub credential: Credential,
    /// The scopes of the credential (RFC 6749 section 3.3).
    pub scopes: Arc<[Arc<str>]>,
    /// When the credential ends, in milliseconds since 1970; streams end with it.
    pub expires_ms: Option<i64>,
    /// What the caller may do.
    pub grants: Grants,
}

impl Caller {
    /// The caller of a runtime that asks for no credential; it may do everything.
    pub fn anonymous() -> Self {
        Self::named(Principal::anonymous())
    }

    /// A caller by name alone, who may do everything: whoever started a task that goes on without a request, and callers
    /// within the process.
    pub fn named(principal: Principal) -> Self {
        Self {
            owner: principal.clone(),
            principal,
            organisation: None,
            credential: Credential {
                kind: CredentialKind::None,
                id: Arc::from(""),
                signer: None,
            },
            scopes: Arc::from([]),
            expires_ms: None,
            grants: Grants::everything(),
        }
    }
}

//! Why nobody was let in.

use std::path::PathBuf;

use crate::access::CredentialKind;

/// What is wrong with a credential, as far as its bearer may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// None was shown.
    #[error("no credential was sent; the agent card's securitySchemes says which are taken")]
    Missing,
    /// One is not enough, or not this one.
    #[error("this credential is not enough here; the agent card's securityRequirements says what is")]
    Insufficient,
    /// Two that say different names.
    #[error("a token and an API key came together; send one of them")]
    Ambiguous,
    /// It is not of the form that it should have.
    #[error("the credential is malformed; send `Authorization: Bearer TOKEN` once, or one x-api-key")]
    Malformed,
    /// The token's algorithm, type or a critical header is not taken.
    #[error("the token is of a kind that is not taken here")]
    Unsupported,
    /// Nobody that is trusted here issued the token.
    #[error("the token is of an issuer that is not trusted here")]
    UnknownIssuer,
    /// No key of the issuer made the signature.
    #[error("the token's signature is not of a key of its issuer")]
    Signature,
    /// The token is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It is over.
    #[error("the credential has expired; get a new one")]
    Expired,
    /// It has not begun.
    #[error("the token is not valid yet; compare the clocks")]
    NotYetValid,
    /// A claim is missing or is not what it should be.
    #[error("a claim of the token is missing or malformed")]
    Claims,
    /// It is bound to another client certificate, or to something that is not known here (RFC 8705).
    #[error("the token is bound to another client certificate")]
    Binding,
    /// No such API key, or it was revoked.
    #[error("the API key is not known; it may have been revoked")]
    UnknownKey,
    /// It names no organisation, and it has to.
    #[error("the credential names no organisation, and one is required here")]
    NoOrganisation,
    /// It names an organisation that its issuer may not name. Which ones it may is nothing that its bearer has to know.
    #[error("the token is not taken here; ask the operator, whose log says why")]
    Organisation,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Missing,
        Self::Insufficient,
        Self::Ambiguous,
        Self::Malformed,
        Self::Unsupported,
        Self::UnknownIssuer,
        Self::Signature,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Claims,
        Self::Binding,
        Self::UnknownKey,
        Self::NoOrganisation,
        Self::Organisation,
    ];

    /// The word for it in logs and audit records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Insufficient => "insufficient",
            Self::Ambiguous => "ambiguous",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::UnknownIssuer => "unknown-issuer",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Claims => "claims",
            Self::Binding => "binding",
            Self::UnknownKey => "unknown-key",
            Self::NoOrganisation => "no-organisation",
            Self::Organisation => "organisation",
        }
    }

    /// The word for it that its bearer is told: the same, but for what is the operator's business.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Organisation => Self::Claims.as_str(),
            other => other.as_str(),
        }
    }
}

/// Why a call has no caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The credential is missing or bad: UNAUTHENTICATED.
    Refused {
        /// The kind of the credential that was looked at.
        kind: CredentialKind,
        /// What is wrong with it.
        reason: Reason,
    },
    /// What it would be verified with is away: UNAVAILABLE, and the credential may be good.
    Unavailable(&'static str),
}

impl Failure {
    /// A credential of this kind is refused.
    pub(super) fn of(kind: CredentialKind, reason: Reason) -> Self {
        Self::Refused { kind, reason }
    }
}

/// What keeps authentication from being set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A key file can't be read.
    #[error("auth.issuers.{name}.keys_file: {} can't be read: {cause}", path.display())]
    KeysFile {
        /// The name of the issuer.
        name: String,
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: std::io::Error,
    },
    /// Its content is no JWK set, or has no key of an algorithm that is taken.
    #[error("auth.issuers.{name}.keys_file: {} {why}", path.display())]
    Keys {
        /// The name of the issuer.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A URL or network may not be reached.
    #[error("auth.issuers.{name}: {why}")]
    Egress {
        /// The name of the issuer.
        name: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

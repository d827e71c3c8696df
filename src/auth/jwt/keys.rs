//! An issuer's public keys, as far as they can sign tokens here.

use jsonwebtoken::Algorithm;

use super::token::Token;
use crate::auth::Reason;
use crate::signature::{VerifyingKey, read_jwk_set};

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys(Vec<VerifyingKey>);

impl Keys {
    /// Reads a JWK set. Keys of other kinds, for other purposes or of algorithms that are not `allowed` are passed over.
    ///
    /// # Errors
    /// A sentence when it is no set. That nothing is left is none: an issuer may withdraw all its keys.
    pub(super) fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let mut keys = read_jwk_set(json)?;
        keys.retain(|key| allowed.contains(&key.algorithm));
        Ok(Self(keys))
    }

    /// True when no token can have a good signature.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a key that the token could have been signed with.
    pub(super) fn know(&self, token: &Token<'_>) -> bool {
        self.candidates(token).next().is_some()
    }

    /// Whether the key with this fingerprint is one of them.
    pub(super) fn has(&self, fingerprint: [u8; 32]) -> bool {
        self.0.iter().any(|key| key.fingerprint == fingerprint)
    }

    /// Checks the signature with the keys that the token may have been signed with: those of its key id, or all of its
    /// algorithm when it names none. The fingerprint of the key that made it.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<[u8; 32], Reason> {
        self.candidates(token)
            .find(|key| key.is_good(token.signature, token.signed))
            .map(|key| key.fingerprint)
            .ok_or(Reason::Signature)
    }

    fn candidates<'k>(&'k self, token: &'k Token<'_>) -> impl Iterator<Item = &'k VerifyingKey> {
        self.0.iter().filter(|key| {
            key.algorithm == token.algorithm
                && token.kid.as_ref().is_none_or(|kid| key.kid.as_ref() == Some(kid))
        })
    }
}

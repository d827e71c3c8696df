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
    /// A sentence when it is no set, or when nothing is left.
    pub(super) fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let mut keys = read_jwk_set(json)?;
        keys.retain(|key| allowed.contains(&key.algorithm));
        if keys.is_empty() {
            return Err("has no key that can sign with one of the algorithms that are taken");
        }
        Ok(Self(keys))
    }

    /// Whether there is a key that the token could have been signed with.
    pub(super) fn know(&self, token: &Token<'_>) -> bool {
        self.candidates(token).next().is_some()
    }

    /// Checks the signature with the keys that the token may have been signed with: those of its key id, or all of its
    /// algorithm when it names none.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Reason> {
        self.candidates(token)
            .any(|key| key.is_good(token.signature, token.signed))
            .then_some(())
            .ok_or(Reason::Signature)
    }

    fn candidates<'k>(&'k self, token: &'k Token<'_>) -> impl Iterator<Item = &'k VerifyingKey> {
        self.0.iter().filter(|key| {
            key.algorithm == token.algorithm
                && token.kid.as_ref().is_none_or(|kid| key.kid.as_ref() == Some(kid))
        })
    }
}

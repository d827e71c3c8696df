//! An issuer's public keys (RFC 7517), as far as they can sign tokens here.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::token::Token;
use crate::auth::Reason;

/// The most keys that are taken of a set.
const KEYS_MAX: usize = 64;
/// The smallest and the largest RSA modulus, in bytes: 2,048 and 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

/// The SHA-256 of a public key, by which it is known again whatever its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyPrint(pub(super) [u8; 32]);

fn print_of(jwk: &Jwk) -> Option<KeyPrint> {
    let text = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => format!("RSA {} {}", key.n, key.e),
        AlgorithmParameters::EllipticCurve(key) => format!("EC {} {}", key.x, key.y),
        AlgorithmParameters::OctetKeyPair(key) => format!("OKP {}", key.x),
        _ => return None,
    };
    let mut print = [0; 32];
    print.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    Some(KeyPrint(print))
}

#[derive(Debug)]
struct Key {
    print: KeyPrint,
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Keys {
    /// Reads a JWK set. Keys of other kinds, for other purposes or of algorithms that are not `allowed` are passed over.
    ///
    /// # Errors
    /// A sentence when it is no set. That nothing is left is none: an issuer may withdraw all its keys.
    pub(super) fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|_| "is no JWK set (RFC 7517)")?;
        if set.keys.len() > KEYS_MAX {
            return Err("has more than 64 keys");
        }
        let keys: Vec<Key> = set
            .keys
            .iter()
            .filter_map(Key::of)
            .filter(|key| allowed.contains(&key.algorithm))
            .collect();
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

    /// Checks the signature with the keys that the token may have been signed with: those of its key id, or all of its
    /// algorithm when it names none. The key that made it.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<KeyPrint, Reason> {
        let good = |key: &Key| {
            jsonwebtoken::crypto::verify(token.signature, token.signed, &key.key, key.algorithm)
                .unwrap_or(false)
        };
        let signer = self.candidates(token).find(|key| good(key));
        signer.map(|key| key.print).ok_or(Reason::Signature)
    }

    /// Whether a key is one of them.
    pub(super) fn has(&self, print: &KeyPrint) -> bool {
        self.0.iter().any(|key| key.print == *print)
    }

    fn candidates<'k>(&'k self, token: &'k Token<'_>) -> impl Iterator<Item = &'k Key> {
        self.0.iter().filter(|key| {
            key.algorithm == token.algorithm
                && token.kid.as_ref().is_none_or(|kid| key.kid.as_ref() == Some(kid))
        })
    }
}

impl Key {
    /// The key, if it is one for signatures of an algorithm that is known here. The key decides which algorithm that is,
    /// never the token.
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm = algorithm_of(jwk)?;
        let says_so = common.key_algorithm.is_none_or(|named| named == algorithm.into());
        if !is_for_signatures || !says_so {
            return None;
        }
        Some(Self {
            print: print_of(jwk)?,
            kid: common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}

fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    match &jwk.algorithm {
        AlgorithmParameters::RSA(key) if MODULUS_BYTES.contains(&bytes(&key.n)) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key)
            if key.curve == EllipticCurve::P256 && bytes(&key.x) == 32 && bytes(&key.y) == 32 =>
        {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key)
            if key.curve == EllipticCurve::Ed25519 && bytes(&key.x) == 32 =>
        {
            Some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

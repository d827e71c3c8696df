//! Public keys of others (RFC 7517), as far as they verify signatures here: RSA, P-256 and Ed25519.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// The most keys that are taken of a set.
const KEYS_MAX: usize = 64;
/// The smallest and the largest RSA modulus, in bytes: 2,048 and 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// A key that verifies signatures of one algorithm.
#[derive(Debug)]
pub struct VerifyingKey {
    /// Its id (`kid`), if it has one.
    pub kid: Option<String>,
    /// Its only algorithm: RS256, ES256 or EdDSA. What is verified has no say in it.
    pub algorithm: Algorithm,
    /// The SHA-256 of the key itself, by which it is known again whatever its id.
    pub fingerprint: [u8; 32],
    key: DecodingKey,
}

/// Reads a JWK set. Keys of other kinds, for other purposes and for other algorithms are passed over.
///
/// # Errors
/// The end of a sentence, when it is no set or one of more than 64 keys.
pub fn read_jwk_set(json: &[u8]) -> Result<Vec<VerifyingKey>, &'static str> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|_| "is no JWK set (RFC 7517)")?;
    if set.keys.len() > KEYS_MAX {
        return Err("has more than 64 keys");
    }
    Ok(set.keys.iter().filter_map(VerifyingKey::of).collect())
}

impl VerifyingKey {
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
            kid: common.key_id.clone(),
            algorithm,
            fingerprint: fingerprint_of(jwk)?,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }

    /// Whether it made this signature, in base64 (RFC 4648 section 5, without padding), of these bytes.
    pub fn is_good(&self, signature: &str, signed: &[u8]) -> bool {
        // Decoded here as well, because what follows forgives what it should not.
        URL_SAFE_NO_PAD.decode(signature).is_ok()
            && jsonwebtoken::crypto::verify(signature, signed, &self.key, self.algorithm).unwrap_or(false)
    }
}

fn fingerprint_of(jwk: &Jwk) -> Option<[u8; 32]> {
    let text = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => format!("RSA {} {}", key.n, key.e),
        AlgorithmParameters::EllipticCurve(key) => format!("EC {} {}", key.x, key.y),
        AlgorithmParameters::OctetKeyPair(key) => format!("OKP {}", key.x),
        _ => return None,
    };
    digest(&SHA256, text.as_bytes()).as_ref().try_into().ok()
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

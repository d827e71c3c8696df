//! Whether a card is what its signer signed (specification 8.4.3).

use jsonwebtoken::Algorithm;

use super::key::signing_input;
use super::{Error, Refusal, VerifyingKey, canonical, canonical_for_sdks, header, read_jwk_set};
use crate::pb::{AgentCard, AgentCardSignature};

/// The most signatures that are looked at: enough for keys that change, too few to keep anybody busy.
const SIGNATURES_MAX: usize = 16;

/// The keys that a card may be signed with: those whose owners are trusted to sign it. A URL in a signature (`jku`) is
/// never followed, because whoever signed it wrote that too.
#[derive(Debug)]
pub struct PublicKeys(Vec<VerifyingKey>);

impl PublicKeys {
    /// Reads a JWK set (RFC 7517). Keys without an id are of no use here and passed over, as are those that can't sign.
    ///
    /// # Errors
    /// [`Error::KeySet`] when it is no set, or no key is left.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let mut keys = read_jwk_set(json).map_err(Error::KeySet)?;
        keys.retain(|key| key.kid.is_some());
        if keys.is_empty() {
            return Err(Error::KeySet(
                "has no key with an id (kid) for RS256, ES256 or EdDSA; take it from /.well-known/jwks.json of the signer",
            ));
        }
        Ok(Self(keys))
    }

    /// The keys of an id.
    pub(super) fn of<'k>(&'k self, kid: &'k str) -> impl Iterator<Item = &'k VerifyingKey> {
        self.0.iter().filter(move |key| key.kid.as_deref() == Some(kid))
    }
}

/// The canonical form that a signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// That of specification 8.4.1: see [`canonical`].
    Specification,
    /// That of the official SDKs: see [`canonical_for_sdks`].
    Sdks,
}

/// The forms that are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forms {
    /// That of the specification only.
    #[default]
    Specification,
    /// That of the official SDKs as well, where a card is not signed in that of the specification. It does not cover what
    /// is empty: somebody may have added or removed empty texts, lists and objects, required ones among them.
    OrSdks,
}

/// A card's good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The id of the key that made it.
    pub kid: String,
    /// What it was made of.
    pub form: Form,
}

/// Looks for a good signature of a card; one of several is enough. The key decides on the algorithm, the header only has
/// to say the same. Whoever has an ES256 signature can make one more that is good, for the same card: tell cards apart by
/// what they say and never by their signatures.
///
/// # Errors
/// [`Error::Unsigned`], [`Error::TooMany`], [`Error::Refused`] with a reason for each signature, and [`Error::Card`].
pub fn verify(card: &AgentCard, keys: &PublicKeys, forms: Forms) -> Result<Verified, Error> {
    let signatures = &card.signatures;
    if signatures.is_empty() {
        return Err(Error::Unsigned);
    }
    if signatures.len() > SIGNATURES_MAX {
        return Err(Error::TooMany(signatures.len()));
    }
    let mut payloads = vec![(Form::Specification, canonical(card)?)];
    if forms == Forms::OrSdks {
        payloads.push((Form::Sdks, canonical_for_sdks(card)?));
    }
    let mut refusals = Vec::new();
    for (form, payload) in &payloads {
        // Reasons are the same in each form, but for the last one.
        refusals.clear();
        for signature in signatures {
            match check(signature, payload, keys) {
                Ok(kid) => return Ok(Verified { kid, form: *form }),
                Err(refusal) => refusals.push(refusal),
            }
        }
    }
    Err(Error::Refused(refusals))
}

/// The id of the key that made the signature of this payload.
fn check(signature: &AgentCardSignature, payload: &[u8], keys: &PublicKeys) -> Result<String, Refusal> {
    let header = header::read(signature)?;
    let kid = header.kid;
    let named: Vec<&VerifyingKey> = keys.of(&kid).collect();
    if named.is_empty() {
        return Err(Refusal::UnknownKey(kid));
    }
    let is_fit = |key: &&VerifyingKey| name(key.algorithm) == Some(&header.alg);
    if !named.iter().any(is_fit) {
        return Err(Refusal::Algorithm(kid));
    }
    let input = signing_input(&signature.protected, payload);
    let mut fitting = named.into_iter().filter(is_fit);
    if fitting.any(|key| key.is_good(&signature.signature, input.as_bytes())) {
        Ok(kid)
    } else {
        Err(Refusal::Mismatch(kid))
    }
}

/// How a header names the algorithm of a key.
fn name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::RS256 => Some("RS256"),
        Algorithm::ES256 => Some("ES256"),
        Algorithm::EdDSA => Some("EdDSA"),
        _ => None,
    }
}

//! Whether a request is what its sender signed, and when (RFC 9421 section 3.2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use jsonwebtoken::Algorithm;

use super::base::base;
use super::input::{self, Input};
use super::{
    CONTENT_DIGEST, COVERED, DELIVERY_ID, DELIVERY_ID_BYTES_MAX, SIGNATURE, SIGNATURE_INPUT, digest,
};
use crate::signature::PublicKeys;
use crate::signature::key::{ED25519_OF_MESSAGES, P256_OF_MESSAGES};

/// The head of a request that came in.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Where the sender sent it to: the whole URL, with scheme and host as the sender knows them.
    pub target: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// When a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Now, in seconds since 1970.
    pub now: i64,
    /// How old it may be, whatever it says itself.
    pub age_max: Duration,
    /// How far the sender's clock may be ahead of ours.
    pub leeway: Duration,
}

/// A good signature. The body still has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The id of the key that made it.
    pub kid: String,
    /// The id of the delivery.
    pub delivery_id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    digest: [u8; 32],
}

impl Verified {
    /// Whether this is the body that was signed.
    pub fn is_of(&self, body: &[u8]) -> bool {
        digest::of(body) == self.digest
    }
}

/// Why a request does not count as signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no signature with our tag.
    #[error("it has no signature with the tag a2ad-push")]
    Unsigned,
    /// A header is not what RFC 9421, RFC 9530 or RFC 9651 says.
    #[error("its signature is malformed")]
    Malformed,
    /// It is longer than any that is needed.
    #[error("it has more signatures, or larger ones, than are looked at")]
    TooMany,
    /// It uses a parameter or covers a component that is not supported here.
    #[error("its signature uses something that is not supported")]
    Unsupported,
    /// It names no key.
    #[error("its signature names no key")]
    NoKeyId,
    /// It does not say when it was made.
    #[error("its signature does not say when it was made")]
    NoTime,
    /// Something that a signature must cover is not covered.
    #[error("its signature does not cover {0}")]
    NotCovered(&'static str),
    /// A covered header is not there.
    #[error("it has no header {0:?}, which its signature covers")]
    Missing(String),
    /// It was made too long ago, or has expired.
    #[error("its signature is too old")]
    Old,
    /// It was made in the future.
    #[error("its signature was made in the future; compare the clocks")]
    Future,
    /// Its key is not in the set.
    #[error("the key {0:?} is not in the set")]
    UnknownKey(String),
    /// It names another algorithm than that of its key.
    #[error("it is not of the algorithm of the key {0:?}")]
    Algorithm(String),
    /// Its key did not sign this.
    #[error("the key {0:?} did not sign this request")]
    Mismatch(String),
}

/// Looks for a good signature of ours; one of several is enough. The key decides on the algorithm.
///
/// # Errors
/// See [`Refusal`]. Where there are several reasons, an unknown key is the one that is told: newer keys may help.
pub fn verify(message: &Incoming<'_>, keys: &PublicKeys, window: &Window) -> Result<Verified, Refusal> {
    let fields = |name| all(message.headers, name).ok_or(Refusal::Unsigned);
    let ours = input::read(&fields(SIGNATURE_INPUT)??, &fields(SIGNATURE)??)?;
    let mut refusal = Refusal::Unsigned;
    for input in ours {
        match input.and_then(|input| check(&input, message, keys, window)) {
            Ok(verified) => return Ok(verified),
            Err(_) if matches!(refusal, Refusal::UnknownKey(_)) => {}
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn check(
    input: &Input,
    message: &Incoming<'_>,
    keys: &PublicKeys,
    window: &Window,
) -> Result<Verified, Refusal> {
    let is_covered = |name: &&str| input.components.iter().any(|covered| covered == name);
    if let Some(bare) = COVERED.into_iter().find(|name| !is_covered(name)) {
        return Err(Refusal::NotCovered(bare));
    }
    check_time(input, window)?;
    let (delivery_id, content_digest) = (
        one(message.headers, DELIVERY_ID)?,
        one(message.headers, CONTENT_DIGEST)?,
    );
    if delivery_id.is_empty() || delivery_id.len() > DELIVERY_ID_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let digest = digest::read(&content_digest).ok_or(Refusal::Malformed)?;
    check_key(input, keys, &signed(input, message)?)?;
    Ok(Verified {
        kid: input.key_id.clone(),
        delivery_id,
        created: input.created,
        digest,
    })
}

fn check_time(input: &Input, window: &Window) -> Result<(), Refusal> {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let age = window.now.saturating_sub(input.created);
    if age < 0 && age.saturating_neg() > seconds(window.leeway) {
        return Err(Refusal::Future);
    }
    let late = input
        .expires
        .map_or(0, |expires| window.now.saturating_sub(expires));
    if age > seconds(window.age_max) || late > seconds(window.leeway) {
        return Err(Refusal::Old);
    }
    Ok(())
}

/// What was signed, if it was this message.
fn signed(input: &Input, message: &Incoming<'_>) -> Result<String, Refusal> {
    let mut values = Vec::with_capacity(input.components.len());
    for name in &input.components {
        values.push(match name.as_str() {
            "@method" => message.method.as_str().to_owned(),
            "@target-uri" => message.target.to_owned(),
            // Twice is never meant for those that we look at, and somebody else may look at the other one.
            name if COVERED.contains(&name) => one(message.headers, name)?,
            name => all(message.headers, name).ok_or_else(|| Refusal::Missing(name.to_owned()))??,
        });
    }
    let names = input.components.iter().map(String::as_str);
    Ok(base(
        names.zip(values.iter().map(String::as_str)),
        &input.parameters,
    ))
}

fn check_key(input: &Input, keys: &PublicKeys, signed: &str) -> Result<(), Refusal> {
    let kid = || input.key_id.clone();
    let mut named = keys.of(&input.key_id).peekable();
    if named.peek().is_none() {
        return Err(Refusal::UnknownKey(kid()));
    }
    let mut fitting = named
        .filter(|key| match (algorithm(key.algorithm), &input.algorithm) {
            (Some(own), Some(said)) => own == said,
            (own, None) => own.is_some(),
            (None, _) => false,
        })
        .peekable();
    if fitting.peek().is_none() {
        return Err(Refusal::Algorithm(kid()));
    }
    let signature = URL_SAFE_NO_PAD.encode(&input.signature);
    if fitting.any(|key| key.is_good(&signature, signed.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::Mismatch(kid()))
    }
}

/// How signatures of messages name the algorithm of a key; those of RSA are not taken.
fn algorithm(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::ES256 => Some(P256_OF_MESSAGES),
        Algorithm::EdDSA => Some(ED25519_OF_MESSAGES),
        _ => None,
    }
}

/// The value of a header that stands there once.
fn one(headers: &HeaderMap, name: &str) -> Result<String, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => text(value),
        (None, _) => Err(Refusal::Missing(name.to_owned())),
        (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

/// The values of a header as one (RFC 9421 section 2.1); `None` without any.
fn all(headers: &HeaderMap, name: &str) -> Option<Result<String, Refusal>> {
    let values: Result<Vec<String>, Refusal> = headers.get_all(name).iter().map(text).collect();
    match values {
        Ok(values) if values.is_empty() => None,
        Ok(values) => Some(Ok(values.join(", "))),
        Err(refusal) => Some(Err(refusal)),
    }
}

fn text(value: &http::HeaderValue) -> Result<String, Refusal> {
    let text = value.to_str().map_err(|_| Refusal::Malformed)?;
    Ok(text.trim().to_owned())
}

//! Signing a request (RFC 9421 section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use sfv::{BareItem, InnerList, Integer, Item, KeyRef, Parameters};

use super::base::base;
use super::{
    CONTENT_DIGEST, COVERED, DELIVERY_ID, DELIVERY_ID_BYTES_MAX, SIGNATURE, SIGNATURE_INPUT, TAG, VALID_S,
};
use super::{digest, input};
use crate::signature::{Error, SigningKey};

/// The name of our signature among those of a request.
const LABEL: &str = "a2ad";

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Where it is sent to, whole and in the form in which it is sent: scheme, host, path and query.
    pub target: &'a Uri,
    /// The type of its body.
    pub content_type: &'static str,
    /// Its body.
    pub body: &'a [u8],
    /// The id of the delivery: 1 to 256 visible characters of ASCII.
    pub delivery_id: &'a str,
    /// Now, in seconds since 1970.
    pub created: i64,
}

/// The headers that make it a signed request: `Content-Type`, `Content-Digest`, `A2A-Notification-Id`, `Signature-Input`
/// and `Signature`. They are to be sent as they are, once each. Each attempt at a delivery is signed anew.
///
/// # Errors
/// [`Error::Header`] for an id or a time that no header can hold, [`Error::Random`] when the system has no randomness.
pub fn sign(key: &SigningKey, message: &Outgoing<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let id = message.delivery_id;
    if id.is_empty() || id.len() > DELIVERY_ID_BYTES_MAX || !id.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(Error::Header("delivery id"));
    }
    let (target, digest) = (
        message.target.to_string(),
        digest::write(&digest::of(message.body)),
    );
    let values = [
        message.method.as_str(),
        &target,
        &digest,
        message.content_type,
        id,
    ];
    let parameters = parameters(key, message.created).ok_or(Error::Header("time"))?;
    let base = base(COVERED.into_iter().zip(values), &parameters);
    let signature = STANDARD.encode(key.sign_bytes(base.as_bytes())?);
    let value = |text: String, what| HeaderValue::try_from(text).map_err(|_| Error::Header(what));
    Ok(vec![
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(message.content_type),
        ),
        (HeaderName::from_static(CONTENT_DIGEST), value(digest, "digest")?),
        (
            HeaderName::from_static(DELIVERY_ID),
            value(id.to_owned(), "delivery id")?,
        ),
        (
            HeaderName::from_static(SIGNATURE_INPUT),
            value(format!("{LABEL}={parameters}"), "key id")?,
        ),
        (
            HeaderName::from_static(SIGNATURE),
            value(format!("{LABEL}=:{signature}:"), "signature")?,
        ),
    ])
}

/// What the signature says of itself; `None` for a key id or a time that no structured field holds.
fn parameters(key: &SigningKey, created: i64) -> Option<String> {
    let text = |text: &str| sfv::String::from_string(text.to_owned()).ok();
    let time = |at: i64| Integer::try_from(at).ok();
    let named: [(&str, BareItem); 5] = [
        ("created", time(created)?.into()),
        ("expires", time(created.checked_add(VALID_S)?)?.into()),
        ("keyid", text(key.id())?.into()),
        ("alg", text(key.message_algorithm())?.into()),
        ("tag", text(TAG)?.into()),
    ];
    let mut parameters = Parameters::new();
    for (name, value) in named {
        parameters.insert(KeyRef::from_str(name).ok()?.to_owned(), value);
    }
    let covered = COVERED.into_iter().map(|name| text(name).map(Item::new));
    input::write(&InnerList::with_params(
        covered.collect::<Option<_>>()?,
        parameters,
    ))
}

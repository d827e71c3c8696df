//! How a delivery proves itself to its receiver, as its configuration says (`AuthenticationInfo`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

use crate::pb::AuthenticationInfo;

/// Where a key of the scheme `ApiKey` goes.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Schemes of HTTP in which the credentials depend on what the receiver says first, or are no header at all.
const CHALLENGED: [&str; 9] = [
    "digest",
    "negotiate",
    "ntlm",
    "mutual",
    "hoba",
    "scram-sha-1",
    "scram-sha-256",
    "dpop",
    "mutualtls",
];

/// What is wrong with an authentication: the field, and what to do.
pub type Problem = (&'static str, &'static str);

/// Whether deliveries can authenticate so.
///
/// # Errors
/// The field that is wrong, and what to write.
pub fn check(authentication: &AuthenticationInfo) -> Result<(), Problem> {
    let AuthenticationInfo { scheme, credentials } = authentication;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(is_token) {
        return Err((
            "scheme",
            "must be the name of an HTTP authentication scheme, like Bearer, Basic or ApiKey",
        ));
    }
    if CHALLENGED.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err((
            "scheme",
            "needs a challenge of the receiver or another connection, which deliveries don't have; use Bearer, Basic or \
             ApiKey",
        ));
    }
    if credentials.is_empty() {
        return Err((
            "credentials",
            "must not be empty: without them nothing would be sent; leave authentication out if none is needed",
        ));
    }
    header(authentication)
        .map(|_| ())
        .ok_or(("credentials", "can't be sent in a header; use visible characters"))
}

/// The header that carries the credentials, marked as not to be shown; `None` when there is none to send.
pub(super) fn header(authentication: &AuthenticationInfo) -> Option<(HeaderName, HeaderValue)> {
    let AuthenticationInfo { scheme, credentials } = authentication;
    if scheme.is_empty() || credentials.is_empty() {
        return None;
    }
    let (name, text) = match scheme.to_ascii_lowercase().as_str() {
        "apikey" => (API_KEY, credentials.clone()),
        "basic" => (header::AUTHORIZATION, format!("Basic {}", encoded(credentials))),
        "bearer" => (header::AUTHORIZATION, format!("Bearer {credentials}")),
        _ => (header::AUTHORIZATION, format!("{scheme} {credentials}")),
    };
    Some((name, secret(&text)?))
}

/// A header value that no log shows.
pub(super) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `user:password` in base64; what has no colon is encoded already.
fn encoded(credentials: &str) -> String {
    if credentials.contains(':') {
        STANDARD.encode(credentials)
    } else {
        credentials.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(scheme: &str, credentials: &str) -> AuthenticationInfo {
        AuthenticationInfo {
            scheme: scheme.to_owned(),
            credentials: credentials.to_owned(),
        }
    }

    #[test]
    fn every_scheme_has_its_header() {
        for (scheme, credentials, name, value) in [
            ("Bearer", "abc", "authorization", "Bearer abc"),
            ("bearer", "abc", "authorization", "Bearer abc"),
            ("Basic", "dXNlcjpwdw==", "authorization", "Basic dXNlcjpwdw=="),
            ("basic", "user:pw", "authorization", "Basic dXNlcjpwdw=="),
            ("ApiKey", "k", "x-api-key", "k"),
            ("APIKEY", "k", "x-api-key", "k"),
            ("Hook-Secret", "s", "authorization", "Hook-Secret s"),
        ] {
            assert_eq!(check(&with(scheme, credentials)), Ok(()), "{scheme}");
            let (found, sent) = header(&with(scheme, credentials)).unwrap();
            assert_eq!((found.as_str(), sent.as_bytes()), (name, value.as_bytes()));
            assert!(sent.is_sensitive());
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused() {
        for (scheme, credentials, field) in [
            ("", "x", "scheme"),
            ("two words", "x", "scheme"),
            ("Bearer:", "x", "scheme"),
            ("Digest", "x", "scheme"),
            ("NEGOTIATE", "x", "scheme"),
            ("mutualTLS", "x", "scheme"),
            ("Bearer", "", "credentials"),
            ("Bearer", "a\nb", "credentials"),
        ] {
            assert_eq!(
                check(&with(scheme, credentials)).unwrap_err().0,
                field,
                "{scheme:?}"
            );
        }
    }
}

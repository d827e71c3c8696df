//! What a request has to show beside its signature.

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use crate::config::Secret;

/// Both names under which senders send the token of a configuration (specification 4.3.3, and the official SDKs).
const TOKEN_HEADERS: [&str; 2] = ["a2a-notification-token", "x-a2a-notification-token"];
const API_KEY_HEADER: &str = "x-api-key";

/// A credential that the push configuration told the sender to show (`authentication`).
#[derive(Clone, Debug)]
pub enum ExpectedCredential {
    /// `Authorization: Bearer`.
    Bearer(Secret<String>),
    /// `Authorization: Basic` (RFC 7617), of a user and a password with a colon between them.
    Basic(Secret<String>),
    /// `X-API-Key`.
    ApiKey(Secret<String>),
}

impl ExpectedCredential {
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Bearer(token) => is_authorization(headers, "bearer", token.expose()),
            Self::Basic(pair) => is_authorization(headers, "basic", &STANDARD.encode(pair.expose())),
            Self::ApiKey(key) => is_header(headers, API_KEY_HEADER, key.expose()) == Some(true),
        }
    }
}

/// All that has to be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) token: Option<Secret<String>>,
    pub(super) credential: Option<ExpectedCredential>,
}

impl Expected {
    pub(super) fn are_shown(&self, headers: &HeaderMap) -> bool {
        let is_credential = self
            .credential
            .as_ref()
            .is_none_or(|credential| credential.is_shown(headers));
        let is_token = self.token.as_ref().is_none_or(|token| {
            let shown = TOKEN_HEADERS.map(|name| is_header(headers, name, token.expose()));
            // Where both names stand, both have to be right.
            shown.contains(&Some(true)) && !shown.contains(&Some(false))
        });
        is_credential && is_token
    }
}

/// Whether all values of a header are this one; `None` without any.
fn is_header(headers: &HeaderMap, name: &str, expected: &str) -> Option<bool> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    Some(values.all(|value| is_same(value.as_bytes(), expected.as_bytes())))
}

fn is_authorization(headers: &HeaderMap, scheme: &str, expected: &str) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
    let is_scheme = parts
        .next()
        .is_some_and(|shown| shown.eq_ignore_ascii_case(scheme.as_bytes()));
    let shown = parts.next().unwrap_or_default().trim_ascii_start();
    is_scheme && is_same(shown, expected.as_bytes())
}

/// Takes the same time wherever they differ.
fn is_same(shown: &[u8], expected: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(shown, expected).is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_token_stands_under_either_name() {
        let expected = Expected {
            token: Some(secret("t")),
            credential: None,
        };
        let (new, old) = ("a2a-notification-token", "x-a2a-notification-token");
        for (shown, is_good) in [
            (&[][..], false),
            (&[(new, "t")], true),
            (&[(old, "t")], true),
            (&[(new, "t"), (old, "t")], true),
            (&[(new, "t"), (old, "u")], false),
            (&[(new, "t"), (new, "u")], false),
            (&[(new, "")], false),
            (&[("authorization", "Bearer t")], false),
        ] {
            assert_eq!(expected.are_shown(&headers(shown)), is_good, "{shown:?}");
        }
        assert!(Expected::default().are_shown(&HeaderMap::new()));
    }

    #[test]
    fn each_kind_of_credential_is_taken_and_no_other() {
        let kinds = [
            ExpectedCredential::Bearer(secret("s")),
            ExpectedCredential::Basic(secret("u:p")),
            ExpectedCredential::ApiKey(secret("s")),
        ];
        for (shown, good) in [
            (&[("authorization", "Bearer s")][..], [true, false, false]),
            (&[("authorization", "bearer  s")], [true, false, false]),
            (&[("authorization", "Basic dTpw")], [false, true, false]),
            (&[("x-api-key", "s")], [false, false, true]),
            (&[("authorization", "Basic s")], [false; 3]),
            (&[("authorization", "Bearers")], [false; 3]),
            (&[("authorization", "s")], [false; 3]),
            (
                &[("authorization", "Bearer s"), ("authorization", "Bearer s")],
                [false; 3],
            ),
            (&[], [false; 3]),
        ] {
            let found = kinds.each_ref().map(|kind| kind.is_shown(&headers(shown)));
            assert_eq!(found, good, "{shown:?}");
        }
        assert!(!format!("{kinds:?}").contains("u:p"));
    }
}

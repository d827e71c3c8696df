//! Where a credential stands in a call, as a scheme of a card says it (specification 4.5).

use http::{HeaderName, header};

use super::fixed::sensitive;
use super::{Credential, CredentialKind};
use crate::client::{Call, Error};
use crate::config::Secret;
use crate::context::Binding;
use crate::pb::ApiKeySecurityScheme;
use crate::pb::security_scheme::Scheme;

/// Headers that a card may ask for without the user's leave: nothing else has a meaning there that a secret could upset.
const FREE_HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// Parameters of the protocol's own queries (specification 11.5) and what a server reads for a service parameter.
const TAKEN_PARAMETERS: [&str; 10] = [
    "a2a-version",
    "a2a-extensions",
    "tenant",
    "contextid",
    "status",
    "pagesize",
    "pagetoken",
    "historylength",
    "statustimestampafter",
    "includeartifacts",
];

/// The longest name of a parameter or a cookie that a card may ask for.
const NAME_MAX: usize = 64;

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// In a header or in gRPC metadata, in its usual form.
    Header(HeaderName),
    /// In the query of the URL.
    Query(String),
    /// In a cookie.
    Cookie(String),
}

impl Placement {
    /// Where a credential of this kind stands for a scheme; `None` when it does not satisfy it.
    ///
    /// # Errors
    /// [`Error::Credential`] when the scheme asks for it where it must not stand, or can't.
    pub(super) fn of(
        kind: &CredentialKind,
        scheme: &Scheme,
        allowed: &[HeaderName],
        binding: Binding,
    ) -> Result<Option<Self>, Error> {
        let is_authorization = |scheme: &str, name: &str| scheme.eq_ignore_ascii_case(name);
        Ok(match (kind, scheme) {
            (CredentialKind::Token, Scheme::HttpAuthSecurityScheme(http)) => {
                is_authorization(&http.scheme, "bearer").then_some(Self::Header(header::AUTHORIZATION))
            }
            (CredentialKind::Basic, Scheme::HttpAuthSecurityScheme(http)) => {
                is_authorization(&http.scheme, "basic").then_some(Self::Header(header::AUTHORIZATION))
            }
            (
                CredentialKind::Token,
                Scheme::Oauth2SecurityScheme(_) | Scheme::OpenIdConnectSecurityScheme(_),
            ) => Some(Self::Header(header::AUTHORIZATION)),
            (CredentialKind::ApiKey, Scheme::ApiKeySecurityScheme(key)) => {
                Some(Self::of_key(key, allowed, binding)?)
            }
            // The user chose this header, not the card.
            (CredentialKind::Header(name), Scheme::ApiKeySecurityScheme(key)) => {
                let is_same = key.location == "header" && key.name.eq_ignore_ascii_case(name.as_str());
                is_same.then(|| Self::Header(name.clone()))
            }
            (
                CredentialKind::Header(name),
                Scheme::HttpAuthSecurityScheme(_)
                | Scheme::Oauth2SecurityScheme(_)
                | Scheme::OpenIdConnectSecurityScheme(_),
            ) => (name == header::AUTHORIZATION).then(|| Self::Header(name.clone())),
            _ => None,
        })
    }

    fn of_key(key: &ApiKeySecurityScheme, allowed: &[HeaderName], binding: Binding) -> Result<Self, Error> {
        let shown: String = key.name.chars().take(NAME_MAX).collect();
        match key.location.as_str() {
            "header" => {
                let name = HeaderName::try_from(&key.name).ok();
                let is_free =
                    |name: &HeaderName| FREE_HEADERS.contains(&name.as_str()) || allowed.contains(name);
                name.filter(is_free).map(Self::Header).ok_or_else(|| {
                    Error::Credential(format!(
                        "the card asks for the API key in the header {shown:?}; a card may ask for authorization and x-api-key, \
                         and for the headers that you allow"
                    ))
                })
            }
            "query" | "cookie" if !is_name(&key.name) => Err(Error::Credential(format!(
                "the card asks for the API key under the name {shown:?}, which is none for a key"
            ))),
            "query" if binding == Binding::Grpc => Err(Error::Credential(
                "the card asks for the API key in the query, and gRPC has none; prefer JSONRPC or HTTP+JSON"
                    .to_owned(),
            )),
            "query" => Ok(Self::Query(key.name.clone())),
            "cookie" => Ok(Self::Cookie(key.name.clone())),
            _ => Err(Error::Credential(
                "the card asks for the API key neither in a header nor in the query nor in a cookie"
                    .to_owned(),
            )),
        }
    }

    /// Puts a credential into a call, in place of one that is there.
    ///
    /// # Errors
    /// [`Error::Credential`] when it can't stand there.
    pub(super) fn put(&self, credential: &Credential, call: &mut Call) -> Result<(), Error> {
        match self {
            Self::Header(name) => {
                call.parameters.insert(name, credential.value()?);
            }
            Self::Query(name) => {
                call.query.retain(|(other, _)| other != name);
                call.query.push((name.clone(), Secret::new(credential.text()?)));
            }
            Self::Cookie(name) => {
                let text = credential.text()?;
                if !text.bytes().all(is_cookie_octet) {
                    return Err(Error::Credential(
                        "it holds characters that no cookie can".to_owned(),
                    ));
                }
                call.parameters
                    .insert(header::COOKIE, sensitive(format!("{name}={text}"))?);
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(is_plain)
        && !TAKEN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(location: &str, name: &str, binding: Binding) -> Result<Option<Placement>, Error> {
        let key = ApiKeySecurityScheme {
            location: location.to_owned(),
            name: name.to_owned(),
            ..ApiKeySecurityScheme::default()
        };
        let allowed = [HeaderName::from_static("x-tenant-key")];
        Placement::of(
            &CredentialKind::ApiKey,
            &Scheme::ApiKeySecurityScheme(key),
            &allowed,
            binding,
        )
    }

    /// Whatever else a card calls the header of its key, the key does not go there.
    #[test]
    fn a_card_chooses_no_header() {
        for name in ["Authorization", "X-API-Key", "x-api-key", "X-Tenant-Key"] {
            let placed = asked("header", name, Binding::JsonRpc).unwrap();
            let header = HeaderName::try_from(name).unwrap();
            assert_eq!(placed, Some(Placement::Header(header)));
        }
        let bad = [
            "Cookie",
            "Set-Cookie",
            "Host",
            ":authority",
            ":path",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "Expect",
            "Proxy-Authorization",
            "Forwarded",
            "X-Forwarded-For",
            "X-Real-IP",
            "Origin",
            "Referer",
            "User-Agent",
            "Content-Type",
            "Accept",
            "A2A-Version",
            "A2A-Extensions",
            "Idempotency-Key",
            "Last-Event-ID",
            "grpc-timeout",
            "grpc-encoding",
            "traceparent",
            "X-Api-Key2",
            "",
            "a b",
            "x\r\ny",
            "x:y",
            "\u{e9}",
        ];
        for name in bad {
            for binding in [Binding::Grpc, Binding::JsonRpc, Binding::HttpJson] {
                let error = asked("header", name, binding).unwrap_err();
                assert!(matches!(error, Error::Credential(_)), "{name:?}: {error}");
            }
        }
    }

    #[test]
    fn names_of_parameters_and_cookies_are_plain() {
        for location in ["query", "cookie"] {
            for (name, is_taken) in [
                ("api_key", true),
                ("key.v1-x", true),
                ("", false),
                ("a&b", false),
                ("a=b", false),
                ("a b", false),
                ("a;b", false),
                ("A2A-Version", false),
                ("pageToken", false),
                ("tenant", false),
            ] {
                let placed = asked(location, name, Binding::HttpJson);
                assert_eq!(placed.is_ok(), is_taken, "{location} {name:?}");
            }
            let long = "k".repeat(NAME_MAX + 1);
            assert!(asked(location, &long, Binding::HttpJson).is_err());
        }
        assert!(asked("query", "key", Binding::Grpc).is_err());
        assert!(asked("cookie", "key", Binding::Grpc).is_ok());
        assert!(asked("body", "key", Binding::HttpJson).is_err());
    }

    #[test]
    fn a_credential_stands_where_it_is_put_once() {
        let request = crate::client::Request::GetTask(crate::pb::GetTaskRequest::default());
        let mut call = Call::new(request);
        let key = |text: &str| Credential::ApiKey(Secret::new(text.to_owned()));
        let places = [
            Placement::Header(HeaderName::from_static("x-api-key")),
            Placement::Query("k".to_owned()),
            Placement::Cookie("k".to_owned()),
        ];
        for value in ["old", "new"] {
            for place in &places {
                place.put(&key(value), &mut call).unwrap();
            }
        }
        assert_eq!(call.parameters["x-api-key"], "new");
        assert_eq!(call.parameters["cookie"], "k=new");
        assert!(call.parameters.values().all(http::HeaderValue::is_sensitive));
        let query: Vec<_> = call
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().as_str()))
            .collect();
        assert_eq!(query, [("k", "new")]);
        assert!(places[2].put(&key("a;b"), &mut call).is_err());
        assert!(!format!("{call:?}").contains("new"), "{call:?}");
    }
}

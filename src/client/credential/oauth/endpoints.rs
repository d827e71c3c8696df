//! The endpoints of an authorization server, given or found (OpenID Connect Discovery 1.0 section 4).

use http::Uri;
use serde::Deserialize;

use super::OAuthEndpoints;
use crate::client::Error;
use crate::client::card::{CardSource, Policies};
use crate::client::credential::given::is_this_machine;
use crate::egress::{EgressClient, EgressPolicy};

/// Where secrets go, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) token: String,
    pub(super) device: Option<String>,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    token_endpoint: String,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
}

impl Endpoints {
    /// The endpoints as they are given, or as the issuer says.
    pub(super) async fn of(given: &OAuthEndpoints, web: &EgressClient) -> Result<Self, Error> {
        let found = match given {
            OAuthEndpoints::Urls { token, device } => Self {
                token: token.clone(),
                device: device.clone(),
            },
            OAuthEndpoints::Issuer(issuer) => Self::discovered(issuer, web).await?,
        };
        for url in [Some(&found.token), found.device.as_ref()].into_iter().flatten() {
            check_secrecy(url)?;
        }
        Ok(found)
    }

    async fn discovered(issuer: &str, web: &EgressClient) -> Result<Self, Error> {
        check_secrecy(issuer)?;
        let base = issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let bytes = web.get(&url).await.map_err(|error| match error {
            crate::egress::Error::Status(_) | crate::egress::Error::TooLarge(_) => {
                Error::TokenRefused(format!("{url}: {error}"))
            }
            other => Error::Unreachable {
                address: url.clone(),
                cause: other.to_string(),
            },
        })?;
        // The text of the error would show what is there, which may be anybody's.
        let found: Discovered = serde_json::from_slice(&bytes).map_err(|_| {
            Error::TokenRefused(format!("{url} is no description of an OpenID Connect issuer"))
        })?;
        if found.issuer.trim_end_matches('/') != base {
            let shown: String = found.issuer.chars().take(200).collect();
            return Err(Error::TokenRefused(format!(
                "{url} describes the issuer {shown:?} and not {issuer:?}; name the issuer as it names itself"
            )));
        }
        let source = CardSource::Url(url.clone());
        let policies = Policies::of(EgressPolicy::unrestricted());
        let endpoints = [
            Some(&found.token_endpoint),
            found.device_authorization_endpoint.as_ref(),
        ];
        for endpoint in endpoints.into_iter().flatten() {
            if source.policy(endpoint, true, &policies).is_err() {
                let shown: String = endpoint.chars().take(200).collect();
                return Err(Error::TokenRefused(format!(
                    "{url} names the endpoint {shown:?}, where an issuer of the public internet has none"
                )));
            }
        }
        Ok(Self {
            token: found.token_endpoint,
            device: found.device_authorization_endpoint,
        })
    }
}

/// Secrets go by https or stay on the machine.
fn check_secrecy(url: &str) -> Result<(), Error> {
    let uri: Option<Uri> = url.parse().ok();
    let is_secret = uri.is_some_and(|uri| match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => is_this_machine(&uri),
        _ => false,
    });
    if is_secret {
        return Ok(());
    }
    let shown: String = url.chars().take(200).collect();
    Err(Error::Credential(format!(
        "the authorization server's URL {shown:?} is none of https"
    )))
}

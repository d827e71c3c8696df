//! What has to be known to get tokens.

use std::time::Duration;

use crate::config::Secret;

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuthEndpoints {
    /// An issuer, whose `/.well-known/openid-configuration` names its endpoints.
    Issuer(String),
    /// The endpoints themselves.
    Urls {
        /// Where tokens are given out.
        token: String,
        /// Where device codes are given out.
        device: Option<String>,
    },
}

/// How a token is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// With the client's own secret; no person is needed.
    ClientCredentials,
    /// A person signs in elsewhere, once; after that the token is renewed as long as the server allows.
    DeviceCode,
}

/// A client of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthSettings {
    /// Where tokens come from. Secrets go there: by https, or to this machine.
    pub endpoints: OAuthEndpoints,
    /// How a token is got.
    pub grant: Grant,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; a device may have none.
    pub client_secret: Option<Secret<String>>,
    /// Whether id and secret stand in the body instead of the `Authorization` header (RFC 6749 section 2.3.1).
    pub is_secret_in_body: bool,
    /// What the token is to allow.
    pub scopes: Vec<String>,
    /// For whom the token is (RFC 8707): the agent's URL, where the server knows of such.
    pub resource: Option<String>,
    /// How long before its end a token is renewed, at most half of its life.
    pub renew_ahead: Duration,
    /// The least time between two renewals because an agent did not take a token.
    pub renew_pause: Duration,
    /// How long a person may take to sign in, if the server does not say less.
    pub device_patience: Duration,
    /// The least time between two questions whether they have.
    pub device_interval_min: Duration,
    /// The longest time between two of them that the server may ask for at first, and that failures lead to. Each `slow_down`
    /// adds 5 seconds all the same (RFC 8628 section 3.5).
    pub device_interval_max: Duration,
    /// Questions in a row that may come to nothing, because the server can't be reached, has trouble or no time; at that number the
    /// sign-in ends. One at least.
    pub device_failures_max: u32,
}

impl OAuthSettings {
    /// A client without a secret and without scopes, with the usual times.
    pub fn new(endpoints: OAuthEndpoints, grant: Grant, client_id: impl Into<String>) -> Self {
        Self {
            endpoints,
            grant,
            client_id: client_id.into(),
            client_secret: None,
            is_secret_in_body: false,
            scopes: Vec::new(),
            resource: None,
            renew_ahead: Duration::from_secs(60),
            renew_pause: Duration::from_secs(10),
            device_patience: Duration::from_secs(15 * 60),
            device_interval_min: Duration::from_secs(1),
            device_interval_max: Duration::from_secs(60),
            device_failures_max: 5,
        }
    }

    /// The name under which its token is kept: another server, client, scope or resource has another token.
    pub fn key(&self) -> String {
        let place = match &self.endpoints {
            OAuthEndpoints::Issuer(url) => url,
            OAuthEndpoints::Urls { token, .. } => token,
        };
        let resource = self.resource.as_deref().unwrap_or_default();
        let parts = [place.as_str(), &self.client_id, &self.scopes.join(" "), resource];
        // Written with their lengths, so that no two lists look the same.
        parts.map(|part| format!("{}:{part}", part.len())).join(",")
    }
}

//! Signing in on another device (RFC 8628).

use std::fmt;
use std::time::Duration;

use oauth2::{DeviceAuthorizationUrl, RequestTokenError, StandardDeviceAuthorizationResponse};
use tokio::time::Instant;

use super::OAuthProvider;
use super::exchange::{Web, client, refused, scopes};
use super::poll::Poll;
use crate::client::Error;

/// The longest code that a person is asked to type.
const CODE_MAX: usize = 64;

/// A sign-in that waits for a person.
pub struct DeviceLogin {
    provider: OAuthProvider,
    details: StandardDeviceAuthorizationResponse,
    /// When the code was given out.
    began: Instant,
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The code of the device is as good as a password until somebody signs in.
        out.debug_struct("DeviceLogin")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl OAuthProvider {
    /// Asks for a code, which a person then enters elsewhere.
    ///
    /// # Errors
    /// [`Error::TokenRefused`], [`Error::Unreachable`]; [`Error::Credential`] when the server's URL is none for secrets.
    pub async fn begin_device_login(&self) -> Result<DeviceLogin, Error> {
        let settings = self.settings();
        let endpoints = self.endpoints().await?;
        let Some(url) = endpoints.device.clone() else {
            return Err(Error::TokenRefused(
                "the authorization server has no endpoint for device codes".to_owned(),
            ));
        };
        let place = DeviceAuthorizationUrl::new(url.clone());
        let place = place.map_err(|error| Error::TokenRefused(format!("{url}: {error}")))?;
        let client = client(settings, endpoints)?.set_device_authorization_url(place);
        let mut request = client.exchange_device_code().add_scopes(scopes(settings));
        if let Some(resource) = &settings.resource {
            request = request.add_extra_param("resource", resource);
        }
        let began = Instant::now();
        let answered = request.request_async(&Web(self.web())).await;
        let details: StandardDeviceAuthorizationResponse = answered.map_err(|error| match error {
            RequestTokenError::Parse(..) => can_not_be_shown(&url),
            error => refused(&url, error),
        })?;
        let code = details.user_code().secret();
        let is_code = code.len() <= CODE_MAX && code.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        let page = url::Url::parse(details.verification_uri());
        let is_page = page.is_ok_and(|page| matches!(page.scheme(), "https" | "http"));
        if !(is_code && is_page) {
            return Err(can_not_be_shown(&url));
        }
        Ok(DeviceLogin {
            provider: self.clone(),
            details,
            began,
        })
    }
}

impl DeviceLogin {
    /// The page where the code is entered. The authorization server chose it.
    pub fn url(&self) -> &str {
        self.details.verification_uri()
    }

    /// The page with the code in it, if there is one, in the form of a URL.
    pub fn whole_url(&self) -> Option<String> {
        let text = self.details.verification_uri_complete()?.secret();
        let page = url::Url::parse(text).ok()?;
        matches!(page.scheme(), "https" | "http").then(|| page.into())
    }

    /// The code. Who sees it can sign this program in, so it is shown to the person alone.
    pub fn code(&self) -> &str {
        self.details.user_code().secret()
    }

    /// How long the code can be entered.
    pub fn patience(&self) -> Duration {
        self.details
            .expires_in()
            .min(self.provider.settings().device_patience)
    }

    /// Waits until the person has signed in, asking as often as the server and the settings allow, and keeps the token.
    ///
    /// # Errors
    /// [`Error::TokenRefused`] when the person declines, or takes longer than [`patience`](Self::patience) from when the code
    /// was given out; [`Error::Unreachable`] when too many questions in a row came to nothing.
    pub async fn finish(self) -> Result<(), Error> {
        let provider = &self.provider;
        let settings = provider.settings();
        let endpoints = provider.endpoints().await?;
        let client = client(settings, endpoints)?;
        let poll = Poll {
            client: &client,
            url: &endpoints.token,
            settings,
            left: self.patience().saturating_sub(self.began.elapsed()),
        };
        let answer = match poll.answer(&self.details, &Web(provider.web())).await {
            Some(answered) => answered?,
            None => return Err(self.too_late()),
        };
        provider.keep(&answer).await
    }

    fn too_late(&self) -> Error {
        let (life, patience) = (self.details.expires_in(), self.patience());
        Error::TokenRefused(if life <= patience {
            format!("the code has expired: nobody has entered it within {life:?}; sign in again")
        } else {
            format!("nobody has entered the code within {patience:?}; sign in again")
        })
    }
}

fn can_not_be_shown(url: &str) -> Error {
    Error::TokenRefused(format!("{url} gave a code or a page that can't be shown"))
}

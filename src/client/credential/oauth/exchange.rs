//! Requests to the token endpoint, by the crate `oauth2` through the egress guard.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, ErrorResponse,
    HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use serde_json::Value;

use super::endpoints::Endpoints;
use super::{OAuthSettings, StoredToken};
use crate::client::Error;
use crate::config::Secret;
use crate::egress::{self, EgressClient};

/// A client that knows where tokens are given out.
pub(super) type TokenClient =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The longest that a server's words are shown.
const WORDS_MAX: usize = 200;

/// The way of the crate's requests.
pub(super) struct Web<'w>(pub(super) &'w EgressClient);

impl<'c> AsyncHttpClient<'c> for Web<'_> {
    type Error = egress::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, egress::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.send(request.map(Bytes::from)).await?;
            judged(response.map(|body| body.to_vec()))
        })
    }
}

/// The answer, unless it is none to the question: the server has trouble whatever its words are, or something before it has
/// no time for the request, and neither refuses anything.
///
/// # Errors
/// [`egress::Error::Status`].
pub(super) fn judged(response: HttpResponse) -> Result<HttpResponse, egress::Error> {
    let status = response.status();
    let is_late = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    match status.is_server_error() || is_late && !has_error(response.body()) {
        true => Err(egress::Error::Status(status.as_u16())),
        false => Ok(response),
    }
}

/// Whether a body is an error of the protocol (RFC 6749 section 5.2).
fn has_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body["error"].is_string())
}

/// The crate's client.
pub(super) fn client(settings: &OAuthSettings, endpoints: &Endpoints) -> Result<TokenClient, Error> {
    let url = TokenUrl::new(endpoints.token.clone());
    let url = url.map_err(|error| Error::TokenRefused(format!("the URL of the token endpoint: {error}")))?;
    let mut client = BasicClient::new(ClientId::new(settings.client_id.clone())).set_token_uri(url);
    if let Some(secret) = &settings.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose().clone()));
    }
    if settings.is_secret_in_body {
        client = client.set_auth_type(AuthType::RequestBody);
    }
    Ok(client)
}

/// The scopes that are asked for.
pub(super) fn scopes(settings: &OAuthSettings) -> impl Iterator<Item = Scope> + use<'_> {
    settings.scopes.iter().cloned().map(Scope::new)
}

/// A token with the client's own secret.
pub(super) async fn by_secret(
    settings: &OAuthSettings,
    endpoints: &Endpoints,
    web: &EgressClient,
) -> Result<BasicTokenResponse, Error> {
    let client = client(settings, endpoints)?;
    let mut request = client.exchange_client_credentials().add_scopes(scopes(settings));
    if let Some(resource) = &settings.resource {
        request = request.add_extra_param("resource", resource);
    }
    let answered = request.request_async(&Web(web)).await;
    answered.map_err(|error| refused(&endpoints.token, error))
}

/// What asking for a token in place of an older one came to.
pub(super) enum Refreshed {
    /// A token.
    Token(Box<BasicTokenResponse>),
    /// The refresh token counts no longer, and why.
    Spent(String),
}

/// A token in place of an older one.
pub(super) async fn by_refresh(
    settings: &OAuthSettings,
    endpoints: &Endpoints,
    web: &EgressClient,
    refresh_token: &Secret<String>,
) -> Result<Refreshed, Error> {
    let client = client(settings, endpoints)?;
    let token = RefreshToken::new(refresh_token.expose().clone());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(resource) = &settings.resource {
        request = request.add_extra_param("resource", resource);
    }
    let error = match request.request_async(&Web(web)).await {
        Ok(answer) => return Ok(Refreshed::Token(Box::new(answer))),
        Err(error) => error,
    };
    let is_spent = matches!(&error, RequestTokenError::ServerResponse(answer)
        if *answer.error() == BasicErrorResponseType::InvalidGrant);
    let error = refused(&endpoints.token, error);
    if is_spent {
        Ok(Refreshed::Spent(error.to_string()))
    } else {
        Err(error)
    }
}

/// What is kept of an answer. A server that gives no new refresh token leaves the old one good.
///
/// # Errors
/// [`Error::TokenRefused`] when the token is none that can be shown as it is.
pub(super) fn kept(
    answer: &BasicTokenResponse,
    before: Option<&StoredToken>,
    settings: &OAuthSettings,
    now_ms: i64,
) -> Result<StoredToken, Error> {
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(Error::TokenRefused(
            "the server gave a token that is no bearer token, which this client can't show".to_owned(),
        ));
    }
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let life = answer.expires_in();
    let renewed = answer
        .refresh_token()
        .map(|token| Secret::new(token.secret().clone()));
    Ok(StoredToken {
        access_token: Secret::new(answer.access_token().secret().clone()),
        refresh_token: renewed.or_else(|| before.and_then(|token| token.refresh_token.clone())),
        due_ms: life.map(|life| now_ms.saturating_add(millis(life - settings.renew_ahead.min(life / 2)))),
        expires_ms: life.map(|life| now_ms.saturating_add(millis(life))),
    })
}

/// Why there is no token. The body of an answer is not shown: it may hold one.
pub(super) fn refused<T>(url: &str, error: RequestTokenError<egress::Error, T>) -> Error
where
    T: ErrorResponse + Display + 'static,
{
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let words = answer.to_string();
            let words: String = words
                .chars()
                .filter(|c| !c.is_control())
                .take(WORDS_MAX)
                .collect();
            // The codes that RFC 6749 has for trouble of the server's own.
            let is_passing = ["temporarily_unavailable", "server_error"]
                .iter()
                .any(|code| words.starts_with(code));
            if is_passing {
                return Error::TokenUnavailable(format!("{url} says: {words}"));
            }
            Error::TokenRefused(format!("{url} refuses: {words}"))
        }
        RequestTokenError::Request(error) => Error::Unreachable {
            address: url.to_owned(),
            cause: error.to_string(),
        },
        RequestTokenError::Parse(..) => Error::TokenUnavailable(format!(
            "{url} answered with something that is no token (RFC 6749)"
        )),
        RequestTokenError::Other(words) => {
            let words: String = words
                .chars()
                .filter(|c| !c.is_control())
                .take(WORDS_MAX)
                .collect();
            Error::TokenRefused(format!("{url}: {words}"))
        }
    }
}

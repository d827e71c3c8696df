//! What a request shows of its caller.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::error::Reason;
use crate::tls::PeerIdentity;

/// The header of API keys.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credentials of one request, not looked at yet.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The request's headers, or metadata on gRPC.
    pub headers: &'a HeaderMap,
    /// Who the connection's client certificate names; it was verified in the handshake.
    pub certificate: Option<&'a PeerIdentity>,
}

impl<'a> Presented<'a> {
    /// The token behind `Authorization: Bearer`. None when the header is not there.
    ///
    /// # Errors
    /// When it is there more than once, or is of another scheme or form.
    pub(super) fn bearer(&self) -> Result<Option<&'a str>, Reason> {
        let Some(value) = single(self.headers, &AUTHORIZATION)? else {
            return Ok(None);
        };
        let (scheme, token) = value.split_once(' ').ok_or(Reason::Malformed)?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(is_token) {
            return Err(Reason::Malformed);
        }
        Ok(Some(token))
    }

    /// The API key. None when the header is not there.
    ///
    /// # Errors
    /// When it is there more than once or is no text.
    pub(super) fn api_key(&self) -> Result<Option<&'a str>, Reason> {
        single(self.headers, &API_KEY)
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Reason> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Reason::Malformed);
    }
    first.to_str().map(Some).map_err(|_| Reason::Malformed)
}

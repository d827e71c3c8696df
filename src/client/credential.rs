//! What a client shows of itself beside its certificate.

use http::{HeaderName, HeaderValue, header};

use super::{Address, Error};
use crate::config::Secret;

/// A secret that goes with every call.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token, sent as `Authorization: Bearer`.
    Token(Secret<String>),
    /// An API key, sent as `x-api-key`.
    ApiKey(Secret<String>),
}

impl Credential {
    /// The header, or gRPC metadata, that it is sent in.
    ///
    /// # Errors
    /// [`Error::Credential`] when it can't stand in a header, or would go to another machine in the clear.
    pub(super) fn header(&self, address: &Address) -> Result<(HeaderName, HeaderValue), Error> {
        if !address.is_tls() && !address.is_this_machine() {
            return Err(Error::Credential(
                "it would go to another machine in the clear; use an https address".to_owned(),
            ));
        }
        let (name, text) = match self {
            Self::Token(token) => (header::AUTHORIZATION, format!("Bearer {}", token.expose())),
            Self::ApiKey(key) => (HeaderName::from_static("x-api-key"), key.expose().clone()),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Error::Credential("it holds characters that no header can".to_owned()))?;
        // Neither logs nor the compression tables of HTTP/2 are the place for it.
        value.set_sensitive(true);
        Ok((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_by_tls_or_stays_on_the_machine() {
        let token = Credential::Token(Secret::new("t".to_owned()));
        for (address, is_sent) in [
            ("https://agents.example.com", true),
            ("127.0.0.1:8420", true),
            ("http://[::1]:8420", true),
            ("localhost:8420", true),
            ("http://agents.example.com", false),
            ("10.0.0.1:8420", false),
            ("localhost.example.com:8420", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(token.header(&address).is_ok(), is_sent, "{address}");
        }
        let broken = Credential::ApiKey(Secret::new("a\nb".to_owned()));
        let error = broken.header(&"127.0.0.1:1".parse().unwrap()).unwrap_err();
        assert!(!error.to_string().contains("a\nb"), "{error}");
    }
}

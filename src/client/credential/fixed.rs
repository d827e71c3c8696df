//! Credentials that are known from the beginning.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

use super::{CredentialKind, CredentialProvider};
use crate::client::{Address, Error};
use crate::config::Secret;

/// A secret that goes with every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token, sent as `Authorization: Bearer`.
    Token(Secret<String>),
    /// An API key, sent as the card says, or as `x-api-key`.
    ApiKey(Secret<String>),
    /// A name and a password, sent as `Authorization: Basic` (RFC 7617).
    Basic {
        /// The name; it holds no colon.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// A header of the user's own choice, sent whatever the card says.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: Secret<String>,
    },
}

impl Credential {
    /// What it is.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Token(_) => CredentialKind::Token,
            Self::ApiKey(_) => CredentialKind::ApiKey,
            Self::Basic { .. } => CredentialKind::Basic,
            Self::Header { name, .. } => CredentialKind::Header(name.clone()),
        }
    }

    /// The header, or gRPC metadata, that it is sent in to an address without a card.
    ///
    /// # Errors
    /// [`Error::Credential`] when it can't stand in a header, or would go to another machine in the clear.
    pub(in crate::client) fn header(&self, address: &Address) -> Result<(HeaderName, HeaderValue), Error> {
        if !address.is_tls() && !address.is_this_machine() {
            return Err(Error::Credential(
                "it would go to another machine in the clear; use an https address".to_owned(),
            ));
        }
        Ok((self.usual_header(), self.value()?))
    }

    /// The header that it stands in where nobody says otherwise.
    pub(super) fn usual_header(&self) -> HeaderName {
        self.kind().usual_header()
    }

    /// What stands in a header.
    pub(super) fn value(&self) -> Result<HeaderValue, Error> {
        sensitive(self.text()?)
    }

    /// The value of the header, as text.
    pub(super) fn text(&self) -> Result<String, Error> {
        Ok(match self {
            Self::Token(token) => format!("Bearer {}", token.expose()),
            Self::ApiKey(value) | Self::Header { value, .. } => value.expose().clone(),
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(Error::Credential("the name of a user holds no colon".to_owned()));
            }
            Self::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose());
                format!("Basic {}", STANDARD.encode(pair))
            }
        })
    }
}

/// A header value that neither logs nor the compression tables of HTTP/2 keep.
pub(super) fn sensitive(text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::Credential("it holds characters that no header can".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait::async_trait]
impl CredentialProvider for Credential {
    fn kind(&self) -> CredentialKind {
        self.kind()
    }

    async fn credential(&self) -> Result<Credential, Error> {
        Ok(self.clone())
    }

    fn is_renewable(&self) -> bool {
        false
    }

    async fn renewed(&self, _: &Credential) -> Result<Option<Credential>, Error> {
        Ok(None)
    }
}

impl CredentialKind {
    pub(super) fn usual_header(&self) -> HeaderName {
        match self {
            Self::Token | Self::Basic => header::AUTHORIZATION,
            Self::ApiKey => HeaderName::from_static("x-api-key"),
            Self::Header(name) => name.clone(),
        }
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

    #[test]
    fn names_and_passwords_are_written_as_rfc_7617_says() {
        let basic = |user: &str| Credential::Basic {
            user: user.to_owned(),
            password: Secret::new("open sesame".to_owned()),
        };
        assert_eq!(
            basic("Aladdin").value().unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(basic("a:b").value().is_err());
    }
}

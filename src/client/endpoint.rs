//! Addresses as people write them.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// Where a server is: `127.0.0.1:8420`, `http://host:port` or `https://host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    host: String,
    port: u16,
}

/// The text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address; write host:port, http://host:port or https://host")]
pub struct AddressError(String);

impl AddressError {
    /// About this text, of which it shows no more than the beginning.
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(120).collect())
    }
}

impl Address {
    /// True if the address asks for TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if the address is one of the loopback interface.
    pub fn is_this_machine(&self) -> bool {
        let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
        self.host()
            .parse()
            .map_or(self.host() == "localhost", is_loopback)
    }

    /// The same address by TLS.
    #[must_use]
    pub fn with_tls(self) -> Self {
        Self {
            scheme: "https",
            ..self
        }
    }

    /// The address as a URL without a path.
    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError::of(text);
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = full.parse().map_err(|_| error())?;
        let (scheme, port) = match uri.scheme_str() {
            Some("http") => ("http", 80),
            Some("https") => ("https", 443),
            _ => return Err(error()),
        };
        let authority = uri.authority().ok_or_else(error)?;
        if authority.host().is_empty() || authority.as_str().contains('@') || !matches!(uri.path(), "" | "/")
        {
            return Err(error());
        }
        Ok(Self {
            scheme,
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(port),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, url) in [
            ("127.0.0.1:8420", "http://127.0.0.1:8420"),
            ("localhost:1", "http://localhost:1"),
            ("http://a.example", "http://a.example:80"),
            ("https://a.example/", "https://a.example:443"),
            ("[::1]:8420", "http://[::1]:8420"),
        ] {
            assert_eq!(
                text.parse::<Address>().map(|address| address.url()),
                Ok(url.to_owned()),
                "{text}"
            );
        }
        for bad in ["", "http://", "ftp://a", "http://u:p@a", "http://a/b", "a b"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "[::1]:1"
                .parse::<Address>()
                .map(|address| address.host().to_owned()),
            Ok("::1".to_owned())
        );
    }
}

//! To which origins a credential goes.

use std::sync::Arc;

use http::Uri;

use super::CredentialProvider;
use crate::client::Error;
use crate::client::card::origin_of;

/// A credential, and the origins that the user gave it for.
///
/// Without a list that is the origin that the user named when looking for the agent; behind a file of the user, those of
/// the card's interfaces. An origin that only a card names gets nothing.
#[derive(Clone, Debug)]
pub struct Given {
    pub(super) provider: Arc<dyn CredentialProvider>,
    origins: Option<Origins>,
}

/// Origins that the user names beside that of the agent.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// These: `https://agents.example.com`, with a port where it is not the usual one.
    ///
    /// # Errors
    /// [`Error::Credential`] when one of them is no origin.
    pub fn of(list: &[impl AsRef<str>]) -> Result<Self, Error> {
        list.iter()
            .map(|one| origin(one.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(in crate::client) fn contains(&self, uri: &Uri) -> bool {
        self.0.contains(&comparable(uri))
    }
}

impl Given {
    /// For the origin that the user names.
    pub fn new(provider: impl CredentialProvider) -> Self {
        Self {
            provider: Arc::new(provider),
            origins: None,
        }
    }

    /// For these origins only: `https://agents.example.com`, with a port where it is not the usual one.
    ///
    /// # Errors
    /// [`Error::Credential`] when one of them is no origin.
    pub fn for_origins(
        provider: impl CredentialProvider,
        origins: &[impl AsRef<str>],
    ) -> Result<Self, Error> {
        Ok(Self {
            provider: Arc::new(provider),
            origins: Some(Origins::of(origins)?),
        })
    }

    /// Whether it goes to the interface at `uri`, given the origin that the user named; `None` for a file.
    pub(in crate::client) fn is_for(&self, uri: &Uri, named: Option<&str>) -> bool {
        match &self.origins {
            Some(origins) => origins.contains(uri),
            None => Self::is_named(uri, named),
        }
    }

    /// Whether an interface is one of the origin that the user named; of a file, each is.
    pub(in crate::client) fn is_named(uri: &Uri, named: Option<&str>) -> bool {
        named.is_none_or(|named| {
            named
                .parse()
                .is_ok_and(|named: Uri| comparable(&named) == comparable(uri))
        })
    }
}

impl<P: CredentialProvider> From<P> for Given {
    fn from(provider: P) -> Self {
        Self::new(provider)
    }
}

fn origin(text: &str) -> Result<String, Error> {
    let wrong = || {
        let shown: String = text.chars().take(120).collect();
        Error::Credential(format!(
            "{shown:?} is no origin; write one like https://agents.example.com"
        ))
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    if has_scheme && is_plain && matches!(uri.path(), "" | "/") && uri.query().is_none() {
        Ok(comparable(&uri))
    } else {
        Err(wrong())
    }
}

/// The origin, with one name for all of those of the loopback interface.
fn comparable(uri: &Uri) -> String {
    if !is_this_machine(uri) {
        return origin_of(uri).to_ascii_lowercase();
    }
    let scheme = uri.scheme_str().unwrap_or("https");
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    format!("{scheme}://localhost:{port}")
}

/// Whether a URL leads to the loopback interface by its text.
pub(super) fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Credential;
    use crate::config::Secret;

    fn token() -> Credential {
        Credential::Token(Secret::new("t".to_owned()))
    }

    #[test]
    fn a_credential_goes_where_it_was_given_for() {
        for (named, url, is_sent) in [
            (Some("https://a.example:443"), "https://a.example/rpc", true),
            (Some("https://a.example"), "https://A.example/rpc", true),
            (Some("https://a.example"), "https://a.example:8443/", false),
            (Some("https://a.example"), "http://a.example/", false),
            (Some("https://a.example"), "https://b.example/", false),
            (Some("https://a.example"), "https://a.example.b.example/", false),
            (Some("http://localhost:1"), "http://127.0.0.1:1/", true),
            (Some("http://localhost:1"), "http://[::1]:1/", true),
            (Some("http://localhost:1"), "http://127.0.0.1:2/", false),
            (Some("http://localhost:1"), "http://localhost.b.example:1/", false),
            (None, "https://b.example/", true),
        ] {
            let uri = url.parse().unwrap();
            assert_eq!(
                Given::new(token()).is_for(&uri, named),
                is_sent,
                "{named:?} {url}"
            );
        }
        let list = ["https://b.example", "https://c.example:8443/"];
        let given = Given::for_origins(token(), &list).unwrap();
        for (url, is_sent) in [
            ("https://b.example:443/x", true),
            ("https://c.example:8443/", true),
            ("https://c.example/", false),
            ("https://a.example/", false),
        ] {
            let uri = url.parse().unwrap();
            assert_eq!(given.is_for(&uri, Some("https://a.example")), is_sent, "{url}");
            assert_eq!(given.is_for(&uri, None), is_sent, "{url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "a.example",
            "https://a.example/x",
            "https://u@a.example",
            "ftp://a.example",
            "https://a/?x",
        ] {
            assert!(Given::for_origins(token(), &[bad]).is_err(), "{bad}");
        }
    }
}

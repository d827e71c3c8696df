//! Where a card came from, and what its interfaces may lead to because of that.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use url::Url;

use crate::client::{Address, Error};
use crate::egress::EgressPolicy;

/// Where a card came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardSource {
    /// A file of the user.
    File(PathBuf),
    /// The URL of the card, or of the catalog that it stood in.
    Url(String),
}

impl CardSource {
    /// `scheme://host:port` of where it came from; `None` of a file.
    pub fn origin(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Url(url) => url.parse().ok().map(|uri: Uri| origin_of(&uri)),
        }
    }

    /// The policy under which the card's interface at `url` is reached, with the URL in the form in which it is used.
    ///
    /// What the user may reach (`allowed`), a file may name. So may a card from this machine or from a network of one's
    /// own. A card from a public host may name its own host, by no weaker scheme than its own, and else what `linked`
    /// admits, which is the public internet by https: a stranger's card must not be a way into the user's network.
    ///
    /// # Errors
    /// [`Error::Card`] when the URL can't be used, or leads to where the card has no business.
    pub fn policy<'p>(
        &self,
        url: &str,
        allowed: &'p EgressPolicy,
        linked: &'p EgressPolicy,
    ) -> Result<(&'p EgressPolicy, Uri), Error> {
        let policy = if self.is_trusted_with(url) {
            allowed
        } else {
            linked
        };
        let shown: String = url.chars().take(200).collect();
        match policy.check(url) {
            Ok(uri) => Ok((policy, uri)),
            Err(refusal) if allowed.check(url).is_ok() => Err(Error::Card(format!(
                "its interface {shown:?} is refused: the URL {refusal}, because the card came from the public host of \
                 {self}"
            ))),
            Err(refusal) => Err(Error::Card(format!(
                "its interface {shown:?} is refused: the URL {refusal}"
            ))),
        }
    }

    /// The URL of an interface with its scheme. One of gRPC is often no more than `host:port`: it is spoken to as the card
    /// was come by, and that of a file by TLS unless it is on this machine.
    pub fn absolute(&self, url: &str) -> String {
        if url.contains("://") {
            return url.to_owned();
        }
        let scheme = match self {
            Self::Url(own) => own.split("://").next().unwrap_or("https"),
            Self::File(_) => match url.parse::<Address>() {
                Ok(address) if address.is_this_machine() => "http",
                _ => "https",
            },
        };
        format!("{scheme}://{url}")
    }

    fn is_trusted_with(&self, url: &str) -> bool {
        let Self::Url(own) = self else {
            return true;
        };
        let (Ok(own), Ok(other)) = (Url::parse(own), Url::parse(url)) else {
            return false;
        };
        let is_same_host = own.host() == other.host();
        let is_no_weaker = own.scheme() == "http" || other.scheme() == "https";
        (is_same_host && is_no_weaker) || !is_public(&own)
    }
}

/// Whether a URL names a host of the public internet, as far as its text says.
fn is_public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    EgressPolicy::default().check(&format!("https://{host}/")).is_ok()
}

/// `scheme://host:port`.
pub(in crate::client) fn origin_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    format!("{scheme}://{}:{port}", uri.host().unwrap_or_default())
}

impl fmt::Display for CardSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Url(url) => out.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_grpc_gets_the_scheme_by_which_the_card_came() {
        let web = |url: &str| CardSource::Url(url.to_owned());
        for (source, url, absolute) in [
            (web("http://a.example/c"), "a.example:1", "http://a.example:1"),
            (web("https://a.example/c"), "a.example:1", "https://a.example:1"),
            (
                web("https://a.example/c"),
                "http://a.example:1",
                "http://a.example:1",
            ),
            (CardSource::File("c".into()), "127.0.0.1:1", "http://127.0.0.1:1"),
            (CardSource::File("c".into()), "a.example:1", "https://a.example:1"),
        ] {
            assert_eq!(source.absolute(url), absolute);
        }
    }

    #[test]
    fn a_card_leads_no_further_than_where_it_came_from_allows() {
        let (allowed, linked) = (EgressPolicy::unrestricted(), EgressPolicy::default());
        let file = CardSource::File("card.json".into());
        let of = |url: &str| CardSource::Url(url.to_owned());
        for (source, url, is_taken) in [
            (file.clone(), "http://127.0.0.1:1/", true),
            (file, "http://10.0.0.1/", true),
            (of("http://127.0.0.1:1/c"), "http://10.0.0.1/", true),
            (of("https://intranet/c"), "http://grpc.internal/", true),
            (of("https://10.0.0.1/c"), "https://10.0.0.2/", true),
            (of("https://a.example/c"), "https://b.example/", true),
            (of("https://a.example/c"), "https://a.example:8443/", true),
            (of("https://a.example/c"), "http://a.example/", false),
            (of("https://a.example/c"), "http://b.example/", false),
            (of("https://a.example/c"), "https://localhost/", false),
            (of("https://a.example/c"), "http://127.0.0.1:8420/", false),
            (of("https://a.example/c"), "https://10.0.0.1/", false),
            (of("https://a.example/c"), "https://169.254.169.254/", false),
            (of("https://a.example/c"), "https://[::1]/", false),
            (of("http://a.example/c"), "http://a.example:8080/", true),
            (of("http://a.example/c"), "http://b.example/", false),
            (of("http://a.example/c"), "http://127.0.0.1/", false),
            (of("http://a.example/c"), "ftp://a.example/", false),
            (of("http://127.0.0.1/c"), "https://u:p@a.example/", false),
            (of("http://127.0.0.1/c"), "a.example", false),
        ] {
            let taken = source.policy(url, &allowed, &linked);
            assert_eq!(taken.is_ok(), is_taken, "{source} {url} {taken:?}");
        }
    }

    /// The name may resolve to anything; under the user's own policy only where it is the card's own host.
    #[test]
    fn a_public_card_keeps_the_policy_for_strangers_elsewhere() {
        let (allowed, linked) = (EgressPolicy::unrestricted(), EgressPolicy::default());
        let source = CardSource::Url("https://a.example/c".to_owned());
        let own = source.policy("https://a.example/", &allowed, &linked).unwrap();
        assert_eq!(own.0, &allowed);
        let other = source.policy("https://b.example/", &allowed, &linked).unwrap();
        assert_eq!(other.0, &linked);
    }
}

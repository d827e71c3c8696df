//! Where a card came from, and what its interfaces may lead to because of that.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use url::{Host, Url};

use crate::client::Error;
use crate::egress::{EgressPolicy, is_inner};

/// The addresses that stand for IPv4 ones (NAT64, RFC 6052).
const TRANSLATED: &str = "64:ff9b::/96";

/// What may be reached of what is named, by who named it.
#[derive(Clone, Debug)]
pub struct Policies {
    /// For the user, and for whatever the user vouches for.
    pub(super) allowed: EgressPolicy,
    /// For the host that a card came from, where that was at a public address.
    own: EgressPolicy,
    /// For whatever else strangers name.
    linked: EgressPolicy,
}

impl Policies {
    /// A policy of the user that restricts holds for all. Else strangers may name the public internet by https, and each its
    /// own host by plain http as well.
    pub fn of(allowed: EgressPolicy) -> Self {
        let (own, linked) = if allowed.unrestricted {
            // In a network without IPv4 a public host may have no other address than a translated one; what that leads to
            // has to be public.
            let own = EgressPolicy {
                allow_plain: true,
                allowed_networks: TRANSLATED.parse().into_iter().collect(),
                ..EgressPolicy::default()
            };
            (own, EgressPolicy::default())
        } else {
            (allowed.clone(), allowed.clone())
        };
        Self { allowed, own, linked }
    }
}

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
    /// What the user may reach, a file may name. So may a card from this machine or from a network of one's own. A card from
    /// a public host may name its own host, by no weaker scheme than its own; where it came from a public address
    /// (`is_inner` is false), that host has to stay at public ones, whatever its name resolves to by then. Else it may name
    /// the public internet by https: a stranger's card must not be a way into the user's network.
    ///
    /// # Errors
    /// [`Error::Card`] when the URL can't be used, or leads to where the card has no business.
    pub fn policy<'p>(
        &self,
        url: &str,
        is_inner: bool,
        policies: &'p Policies,
    ) -> Result<(&'p EgressPolicy, Uri), Error> {
        let policy = self.reach(url, is_inner, policies);
        let shown: String = url.chars().take(200).collect();
        match policy.check(url) {
            Ok(uri) => Ok((policy, uri)),
            Err(refusal) if policies.allowed.check(url).is_ok() => Err(Error::Card(format!(
                "its interface {shown:?} is refused: the URL {refusal}, because the card came from the public host of \
                 {self}"
            ))),
            Err(refusal) => Err(Error::Card(format!(
                "its interface {shown:?} is refused: the URL {refusal}"
            ))),
        }
    }

    fn reach<'p>(&self, url: &str, is_inner: bool, policies: &'p Policies) -> &'p EgressPolicy {
        let Self::Url(own) = self else {
            return &policies.allowed;
        };
        let (Ok(own), Ok(other)) = (Url::parse(own), Url::parse(url)) else {
            return &policies.linked;
        };
        let is_same_host = own.host() == other.host();
        let is_no_weaker = own.scheme() == "http" || other.scheme() == "https";
        // An address leads to the same host each time, unlike a name.
        let is_fixed = !matches!(own.host(), Some(Host::Domain(_)));
        match is_same_host && is_no_weaker {
            _ if names_inner(&own) => &policies.allowed,
            true if is_inner || is_fixed => &policies.allowed,
            true => &policies.own,
            false => &policies.linked,
        }
    }
}

/// Whether a URL names this machine or a host of a network of one's own, as far as its text says.
fn names_inner(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_inner(address.into()),
        Some(Host::Ipv6(address)) => is_inner(address.into()),
        Some(Host::Domain(name)) => EgressPolicy::default()
            .check(&format!("https://{name}/"))
            .is_err(),
        None => false,
    }
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
    fn a_card_leads_no_further_than_where_it_came_from_allows() {
        let policies = Policies::of(EgressPolicy::unrestricted());
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
            // What an address stands for decides, and of itself each may speak.
            (of("https://[64:ff9b::808:808]/c"), "https://10.0.0.1/", false),
            (
                of("https://[64:ff9b::808:808]/c"),
                "https://[64:ff9b::808:808]:1/",
                true,
            ),
            (of("https://[64:ff9b::a00:1]/c"), "https://10.0.0.2/", true),
            (of("https://[2002:808:808::1]/c"), "https://127.0.0.1/", false),
            (of("https://[::ffff:8.8.8.8]/c"), "https://127.0.0.1/", false),
            (of("https://198.18.0.1/c"), "https://198.18.0.1:1/", true),
            (of("https://198.18.0.1/c"), "https://198.18.0.2/", false),
            (of("https://198.18.0.1/c"), "https://10.0.0.1/", false),
        ] {
            for is_inner in [false, true] {
                let taken = source.policy(url, is_inner, &policies);
                assert_eq!(taken.is_ok(), is_taken, "{source} {url} {taken:?}");
            }
        }
    }

    /// A name may resolve to anything, and to something else each time.
    #[test]
    fn what_a_name_may_resolve_to_depends_on_where_the_card_came_from() {
        let policies = Policies::of(EgressPolicy::unrestricted());
        let (own, linked) = (&policies.own, &policies.linked);
        let of = |url: &str| CardSource::Url(url.to_owned());
        for (source, url, is_inner, expected) in [
            (of("https://a.example/c"), "https://a.example/", false, own),
            (of("http://a.example/c"), "http://a.example:8080/", false, own),
            (of("https://a.example/c"), "https://b.example/", false, linked),
            (
                of("https://a.example/c"),
                "https://a.example/",
                true,
                &policies.allowed,
            ),
            (of("https://a.example/c"), "https://b.example/", true, linked),
            (
                of("https://intranet/c"),
                "https://grpc.internal/",
                false,
                &policies.allowed,
            ),
            (
                CardSource::File("c".into()),
                "https://a.example/",
                false,
                &policies.allowed,
            ),
        ] {
            let (policy, _) = source.policy(url, is_inner, &policies).unwrap();
            assert_eq!(policy, expected, "{source} {url} {is_inner}");
        }
        for policy in [own, linked] {
            for inner in [
                "127.0.0.1",
                "10.0.0.1",
                "169.254.169.254",
                "::1",
                "fd00::1",
                "64:ff9b::7f00:1",
                "64:ff9b::a00:1",
            ] {
                assert!(!policy.admits(inner.parse().unwrap(), true), "{inner}");
            }
        }
        let translated = "64:ff9b::808:808".parse().unwrap();
        assert!(own.admits(translated, true) && own.admits(translated, false));
        let restricting = Policies::of(EgressPolicy::default());
        let (policy, _) = of("https://a.example/c")
            .policy("https://a.example/", true, &restricting)
            .unwrap();
        assert_eq!(policy, &EgressPolicy::default());
    }
}

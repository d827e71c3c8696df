//! The service parameters of a client, which may be secrets too.

use http::{HeaderMap, Uri};

use super::Given;
use super::given::Origins;

/// Service parameters of every call, and where they go.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Parameters {
    pub(in crate::client) headers: HeaderMap,
    pub(in crate::client) origins: Origins,
}

impl Parameters {
    /// Whether they may go to the interface at `uri`, given the origin that the user named; `None` for a file. Nobody can
    /// tell which of them is a credential, so that each counts as one: they go there, and to the origins that the user gave
    /// them for.
    pub(in crate::client) fn are_for(&self, uri: &Uri, named: Option<&str>) -> bool {
        self.headers.is_empty() || Given::is_named(uri, named) || self.origins.contains(uri)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn parameters_go_where_they_were_given_for_whether_they_are_marked_as_secrets_or_not() {
        let of = |is_sensitive: bool, origins: &[&str]| {
            let mut value = HeaderValue::from_static("s3cret");
            value.set_sensitive(is_sensitive);
            Parameters {
                headers: HeaderMap::from_iter([(HeaderName::from_static("x-key"), value)]),
                origins: Origins::of(origins).unwrap(),
            }
        };
        for is_sensitive in [true, false] {
            let (bound, wider) = (of(is_sensitive, &[]), of(is_sensitive, &["https://b.example"]));
            for (url, named, bound_goes, wider_goes) in [
                ("https://a.example/x", Some("https://a.example"), true, true),
                ("https://b.example/", Some("https://a.example"), false, true),
                ("https://b.example:8443/", Some("https://a.example"), false, false),
                ("http://b.example/", Some("https://a.example"), false, false),
                ("https://c.example/", None, true, true),
            ] {
                let uri = url.parse().unwrap();
                let goes = [&bound, &wider].map(|one| one.are_for(&uri, named));
                assert_eq!(goes, [bound_goes, wider_goes], "{url} {is_sensitive}");
            }
        }
        assert!(
            Parameters::default().are_for(&"https://b.example/".parse().unwrap(), Some("https://a.example"))
        );
    }
}

//! The service parameters of a client, which may be secrets too.

use http::{HeaderMap, HeaderValue, Uri};

use super::Given;
use super::given::Origins;

/// Service parameters of every call, and where secrets among them go.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Parameters {
    pub(in crate::client) headers: HeaderMap,
    pub(in crate::client) origins: Origins,
}

impl Parameters {
    /// Whether they may go to the interface at `uri`, given the origin that the user named; `None` for a file. Secrets among
    /// them go there, and to the origins that the user gave them for; what is no secret goes everywhere.
    pub(in crate::client) fn are_for(&self, uri: &Uri, named: Option<&str>) -> bool {
        let has_secret = self.headers.values().any(HeaderValue::is_sensitive);
        !has_secret || Given::is_named(uri, named) || self.origins.contains(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_where_they_were_given_for_and_the_rest_everywhere() {
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        let of = |value: HeaderValue, origins: &[&str]| Parameters {
            headers: HeaderMap::from_iter([(http::HeaderName::from_static("x-key"), value)]),
            origins: Origins::of(origins).unwrap(),
        };
        let plain = of(HeaderValue::from_static("open"), &[]);
        let (bound, wider) = (of(secret.clone(), &[]), of(secret, &["https://b.example"]));
        for (url, named, plain_goes, bound_goes, wider_goes) in [
            ("https://a.example/x", Some("https://a.example"), true, true, true),
            ("https://b.example/", Some("https://a.example"), true, false, true),
            (
                "https://b.example:8443/",
                Some("https://a.example"),
                true,
                false,
                false,
            ),
            ("http://b.example/", Some("https://a.example"), true, false, false),
            ("https://c.example/", None, true, true, true),
        ] {
            let uri = url.parse().unwrap();
            let goes = [&plain, &bound, &wider].map(|one| one.are_for(&uri, named));
            assert_eq!(goes, [plain_goes, bound_goes, wider_goes], "{url}");
        }
        assert!(
            Parameters::default().are_for(&"https://b.example/".parse().unwrap(), Some("https://a.example"))
        );
    }
}

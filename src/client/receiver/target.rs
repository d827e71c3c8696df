//! Where requests are sent to, as the sender knows it: signatures cover the whole URL.

use http::Uri;
use url::{Position, Url};

/// The URL of a webhook as it is registered, whatever proxies make of it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// A whole URL, and its path and query.
    Url(String, String),
    Origin(String),
}

/// The text is no URL of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no {1}")]
pub struct TargetError(String, &'static str);

impl Target {
    /// One URL: every request is for it. Proxies in between may change the path.
    ///
    /// # Errors
    /// When it is no URL of http or https.
    pub fn url(text: &str) -> Result<Self, TargetError> {
        let mut url = parse(text)
            .ok_or_else(|| TargetError(text.to_owned(), "URL like https://me.example.com/hooks"))?;
        url.set_fragment(None);
        let path = url[Position::BeforePath..].to_owned();
        Ok(Self(Form::Url(url.into(), path)))
    }

    /// Many URLs of one origin: path and query are those of each request, as the program got it.
    ///
    /// # Errors
    /// When it is no origin of http or https.
    pub fn origin(text: &str) -> Result<Self, TargetError> {
        let wrong = || {
            TargetError(
                text.to_owned(),
                "origin like https://me.example.com, without a path",
            )
        };
        let url = parse(text).ok_or_else(wrong)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        Ok(Self(Form::Origin(url.origin().ascii_serialization())))
    }

    /// The URL that a request was sent to.
    pub(super) fn of(&self, uri: &Uri) -> String {
        match &self.0 {
            Form::Url(url, _) => url.clone(),
            Form::Origin(origin) => format!("{origin}{}", path(uri)),
        }
    }

    /// The path and the query of that URL.
    pub(super) fn path_of(&self, uri: &Uri) -> String {
        match &self.0 {
            Form::Url(_, path) => path.clone(),
            Form::Origin(_) => path(uri).to_owned(),
        }
    }
}

/// The path and the query that a request gives.
fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

/// The URL in the form in which it is sent: its host normalised, without a port that goes without saying.
fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    (["http", "https"].contains(&url.scheme()) && is_plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_in_the_form_in_which_it_is_sent() {
        let uri = Uri::from_static("/inner?x=1");
        for (text, whole) in [
            ("https://A.example", "https://a.example/"),
            ("https://a.example:443/h?q=1#f", "https://a.example/h?q=1"),
            ("http://127.0.0.1:80/", "http://127.0.0.1/"),
            ("https://a.example:8443/h", "https://a.example:8443/h"),
        ] {
            assert_eq!(Target::url(text).unwrap().of(&uri), whole, "{text}");
        }
        let many = Target::origin("https://A.example:443/").unwrap();
        assert_eq!(many.of(&uri), "https://a.example/inner?x=1");
        assert_eq!(many.path_of(&uri), "/inner?x=1");
        let one = Target::url("https://a.example/h?q=1#f").unwrap();
        assert_eq!(one.path_of(&uri), "/h?q=1");
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://u:p@a.example",
            "mailto:a@b",
        ] {
            assert!(Target::url(bad).is_err() && Target::origin(bad).is_err(), "{bad}");
        }
        assert!(Target::origin("https://a.example/path").is_err());
    }
}

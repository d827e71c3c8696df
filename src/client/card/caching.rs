//! How long a document may be used (RFC 9111), as its server says.

use std::time::Duration;

use http::{HeaderMap, header};

/// What the headers of an answer allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It must not be kept.
    Never,
    /// It may be kept, and used for so long before the server is asked again.
    For(Duration),
}

/// Reads `Cache-Control` and `Age`. `fresh_max` bounds what a server can ask for; without a word from it the document is
/// kept and asked for each time.
pub(super) fn keeping(headers: &HeaderMap, fresh_max: Duration) -> Keeping {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let directives = values.filter_map(|value| value.to_str().ok());
    let mut age_max = None;
    let mut asks_each_time = false;
    for directive in directives.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => return Keeping::Never,
            "no-cache" => asks_each_time = true,
            // The least of several, and none of what is no number.
            "max-age" => {
                let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                age_max = Some(age_max.map_or(seconds, |other: u64| other.min(seconds)));
            }
            _ => {}
        }
    }
    if asks_each_time {
        return Keeping::For(Duration::ZERO);
    }
    let age = headers
        .get(header::AGE)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let fresh = age_max.unwrap_or(0).saturating_sub(age.unwrap_or(0));
    Keeping::For(Duration::from_secs(fresh).min(fresh_max))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_say_how_long() {
        let day = Duration::from_secs(86_400);
        for (control, age, seconds) in [
            ("", "", Some(0)),
            ("max-age=60", "", Some(60)),
            ("Max-Age = \"60\"", "", Some(60)),
            ("public, max-age=60, must-revalidate", "10", Some(50)),
            ("max-age=60", "70", Some(0)),
            ("max-age=60, max-age=30", "", Some(30)),
            ("max-age=x", "", Some(0)),
            ("max-age=-1", "", Some(0)),
            ("max-age=99999999999", "", Some(86_400)),
            ("s-maxage=60", "", Some(0)),
            ("no-cache, max-age=60", "", Some(0)),
            ("private, max-age=60", "", Some(60)),
            ("max-age=60, no-store", "", None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::CACHE_CONTROL, control), (header::AGE, age)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let expected = seconds.map_or(Keeping::Never, |s| Keeping::For(Duration::from_secs(s)));
            assert_eq!(keeping(&headers, day), expected, "{control} {age}");
        }
    }
}

//! Headers that decide something and must therefore not be ambiguous: a second one, or one that a lenient parser
//! would take for it, lets a proxy in front of us and us decide differently.

use http::{HeaderMap, HeaderName, header};

use crate::error::Error;

/// Headers that may come once only. Those of the protocol and credentials are checked where they are read.
const SINGLE: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
];

/// Names that some gateways treat like their spelling with hyphens.
const LOOK_ALIKES: [&str; 10] = [
    "x_api_key",
    "content_type",
    "content_length",
    "content_encoding",
    "transfer_encoding",
    "a2a_version",
    "a2a_extensions",
    "idempotency_key",
    "last_event_id",
    "x_request_id",
];

/// Refuses ambiguous headers.
///
/// # Errors
/// InvalidParams that names the header.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Error> {
    for name in &SINGLE {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(Error::invalid(
                name.as_str(),
                "the header is there more than once; send it once",
            ));
        }
    }
    let underscored = headers
        .keys()
        .map(HeaderName::as_str)
        .find(|name| name.contains('_') && is_look_alike(name));
    match underscored {
        Some(name) => Err(Error::invalid(
            name,
            "the header is spelled with underscores; use hyphens",
        )),
        None => Ok(()),
    }
}

fn is_look_alike(name: &str) -> bool {
    LOOK_ALIKES.contains(&name.replace('-', "_").as_str())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn ambiguous_headers_are_refused() {
        let check = |names: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            }
            super::check(&headers).map_err(|error| error.violations[0].field.clone())
        };
        assert_eq!(
            check(&["content-type", "content-length", "x_mine", "x-mine"]),
            Ok(())
        );
        for twice in ["content-type", "content-length", "content-encoding"] {
            assert_eq!(check(&[twice, twice]), Err(twice.to_owned()));
        }
        for look_alike in [
            "content_length",
            "a2a_version",
            "transfer_encoding",
            "last-event_id",
        ] {
            assert_eq!(check(&[look_alike]), Err(look_alike.to_owned()));
        }
    }
}

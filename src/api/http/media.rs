//! Media types and encodings of requests, and the media type of answers.

use http::{HeaderMap, HeaderValue, header};

use crate::error::{Error, Kind};

/// The forms that JSON is labelled as; the bytes are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    /// The protocol's own label (specification 14.1.1).
    A2aJson,
}

impl Media {
    const ALL: [Self; 2] = [Self::Json, Self::A2aJson];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::A2aJson => "application/a2a+json",
        }
    }

    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// The form that a media type names; parameters but a foreign charset do not matter.
    fn named(value: &str) -> Option<Self> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim();
        let media = Self::ALL
            .into_iter()
            .find(|media| media.as_str().eq_ignore_ascii_case(essence))?;
        parameters.split(';').all(is_harmless).then_some(media)
    }
}

fn is_harmless(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || value.eq_ignore_ascii_case("utf-8")
        || value.eq_ignore_ascii_case("utf8")
}

/// Checks what a request says about its body, before anything of it is read.
///
/// # Errors
/// UnsupportedMediaType, unless there is no body at all and nothing is said about it.
pub(super) fn check(headers: &HeaderMap, is_empty: bool) -> Result<(), Error> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return if is_empty {
            Ok(())
        } else {
            Err(unsupported("the request has a body and no content-type"))
        };
    };
    match value.to_str().ok().and_then(Media::named) {
        Some(_) => Ok(()),
        None => Err(unsupported("the content-type is not supported")),
    }
}

fn unsupported(what: &str) -> Error {
    let message = format!("{what}; send application/json or application/a2a+json, in UTF-8");
    Error::new(Kind::UnsupportedMediaType, message)
}

/// True when the body is compressed with gzip.
///
/// # Errors
/// UnsupportedMediaType for every other encoding but `identity`.
pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, Error> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(false);
    };
    match value.as_bytes() {
        encoding if encoding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        encoding if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") => Ok(false),
        _ => {
            let message = "the content-encoding is not supported; send the body as it is, or with gzip";
            Err(Error::new(Kind::UnsupportedMediaType, message))
        }
    }
}

/// The media type of an HTTP+JSON answer: that of the request, else the one that the caller accepts, else the
/// protocol's own.
pub(super) fn answer(headers: &HeaderMap) -> Media {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(media) = text(header::CONTENT_TYPE).and_then(Media::named) {
        return media;
    }
    let accepted = text(header::ACCEPT).unwrap_or_default();
    accepted
        .split(',')
        .find_map(Media::named)
        .unwrap_or(Media::A2aJson)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn json_in_utf_8_is_what_a_body_is() {
        for good in [
            "application/json",
            "Application/A2A+JSON",
            "application/json;charset=UTF-8",
            "application/json; charset=\"utf-8\"; profile=x",
            "application/json;",
        ] {
            assert_eq!(
                check(&headers(&[(header::CONTENT_TYPE, good)]), true),
                Ok(()),
                "{good}"
            );
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonx",
            "application/json; charset=latin1",
            "application/x-www-form-urlencoded",
            "application/json, text/plain",
        ] {
            let error = check(&headers(&[(header::CONTENT_TYPE, bad)]), true).unwrap_err();
            assert_eq!(error.http_status(), 415, "{bad}");
        }
        assert_eq!(check(&HeaderMap::new(), true), Ok(()));
        assert!(check(&HeaderMap::new(), false).is_err());
    }

    #[test]
    fn gzip_and_nothing_else() {
        let encoded = |value| is_gzip(&headers(&[(header::CONTENT_ENCODING, value)]));
        assert_eq!(is_gzip(&HeaderMap::new()), Ok(false));
        assert_eq!(encoded("GZIP"), Ok(true));
        assert_eq!(encoded("identity"), Ok(false));
        for bad in ["br", "gzip, gzip", "zstd", "deflate"] {
            assert!(encoded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_comes_in_the_form_of_the_request() {
        let typed = |value| {
            answer(&headers(&[
                (header::CONTENT_TYPE, value),
                (header::ACCEPT, "application/a2a+json"),
            ]))
        };
        assert_eq!(typed("application/json"), Media::Json);
        let accepting = |value| answer(&headers(&[(header::ACCEPT, value)]));
        for (accept, media) in [
            ("", Media::A2aJson),
            ("*/*", Media::A2aJson),
            ("application/json", Media::Json),
            ("text/html, application/json;q=0.9, */*", Media::Json),
            ("application/a2a+json, application/json", Media::A2aJson),
        ] {
            assert_eq!(accepting(accept), media, "{accept}");
        }
    }
}

//! Agent cards over HTTP, with everything that saves a client from reading them again (specification 8.6).

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::media::Media;
use super::reply;
use crate::api::{ApiSettings, Body};
use crate::service::CardDocument;

/// A card, or the news that the client's copy is good.
pub(super) fn answer(
    settings: &ApiSettings,
    card: &CardDocument,
    request: &HeaderMap,
    is_head: bool,
    is_private: bool,
) -> Response<Body> {
    let mut response = if is_unchanged(request, &card.etag, &card.last_modified) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::document(Media::Json, card.json.clone(), is_head)
    };
    let fields = [
        (
            header::CACHE_CONTROL,
            match is_private {
                // A cache in between would give it to whoever asks next.
                true => "private, no-store".to_owned(),
                false => format!("public, max-age={}", settings.card_max_age_s),
            },
        ),
        (header::ETAG, card.etag.clone()),
        (header::LAST_MODIFIED, card.last_modified.clone()),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether the client has this very document (RFC 9110, section 13.2.2): dates only count where no tag is given.
fn is_unchanged(request: &HeaderMap, etag: &str, last_modified: &str) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let mut values = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok());
        return values.any(|value| value.split(',').any(|tag| is_same(tag.trim(), etag)));
    }
    let date = |text| OffsetDateTime::parse(text, &Rfc2822).ok();
    let since = request
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(date);
    matches!((since, date(last_modified)), (Some(since), Some(modified)) if modified <= since)
}

/// Weak comparison, as `If-None-Match` demands.
fn is_same(tag: &str, etag: &str) -> bool {
    let strong = |tag| str::strip_prefix(tag, "W/").unwrap_or(tag).to_owned();
    tag == "*" || strong(tag) == strong(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &str = "Fri, 20 Nov 2026 10:00:00 GMT";

    fn unchanged(fields: &[(header::HeaderName, &'static str)]) -> bool {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        is_unchanged(&headers, "\"abc\"", MODIFIED)
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        for same in ["\"abc\"", "W/\"abc\"", "*", "\"x\", W/\"abc\"", "\"x\",\"abc\""] {
            assert!(unchanged(&[(header::IF_NONE_MATCH, same)]), "{same}");
        }
        for other in ["\"x\"", "abc", "", "\"ABC\"", "\"abc"] {
            assert!(!unchanged(&[(header::IF_NONE_MATCH, other)]), "{other}");
        }
    }

    #[test]
    fn dates_count_where_no_tag_is_given() {
        for (since, same) in [
            (MODIFIED, true),
            ("Fri, 20 Nov 2026 10:00:01 GMT", true),
            ("Fri, 20 Nov 2026 09:59:59 GMT", false),
            ("yesterday", false),
        ] {
            assert_eq!(unchanged(&[(header::IF_MODIFIED_SINCE, since)]), same, "{since}");
        }
        assert!(!unchanged(&[
            (header::IF_NONE_MATCH, "\"x\""),
            (header::IF_MODIFIED_SINCE, MODIFIED)
        ]));
        assert!(!unchanged(&[]));
    }
}

//! Documents about the server itself: its public keys, its OpenAPI description and its health.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::media::Media;
use super::reply;
use crate::api::{Api, Body};
use crate::pb;

/// The description of the HTTP+JSON binding.
pub(super) fn open_api(is_head: bool) -> Response<Body> {
    reply::document(
        Media::Json,
        Bytes::from_static(pb::OPENAPI_JSON.as_bytes()),
        is_head,
    )
}

/// The keys that signatures of this server are verified with (RFC 7517), kept by clients as long as cards are.
pub(super) fn public_keys(api: &Api, is_head: bool) -> Response<Body> {
    let keys = Bytes::from(api.service().public_keys());
    let mut response = reply::document(Media::Json, keys, is_head);
    let age = format!("public, max-age={}", api.settings().card_max_age_s);
    if let Ok(age) = HeaderValue::try_from(age) {
        response.headers_mut().insert(header::CACHE_CONTROL, age);
    }
    response
}

/// Whether to send requests here: not from the beginning of the end on, and not while the database is away.
pub(super) async fn health(api: &Api, is_head: bool) -> Response<Body> {
    let serving = api.is_serving() && api.service().check().await.is_ok();
    let (status, text) = if serving {
        (StatusCode::OK, r#"{"status":"SERVING"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"NOT_SERVING"}"#)
    };
    let mut response = reply::document(Media::Json, Bytes::from_static(text.as_bytes()), is_head);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

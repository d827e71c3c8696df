//! Responses, put together in one way.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::media::Media;
use crate::api::Body;
use crate::api::call::{EXTENSIONS, REQUEST_ID};

/// A response with a body of known length.
pub(super) fn whole(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A JSON response.
pub(super) fn json(status: StatusCode, media: Media, body: impl Into<Bytes>) -> Response<Body> {
    whole(status, media.header(), body)
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A document, or for HEAD what its headers would be.
pub(super) fn document(media: Media, body: Bytes, is_head: bool) -> Response<Body> {
    if !is_head {
        return json(StatusCode::OK, media, body);
    }
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.header());
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

/// Tells the caller under which id the call is logged.
pub(super) fn set_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Tells the caller which of the extensions it asked for are active.
pub(super) fn set_extensions(headers: &mut HeaderMap, activated: &[String]) {
    if activated.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&activated.join(", ")) {
        headers.insert(EXTENSIONS, value);
    }
}

//! What a sender is told.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

/// Why a request is not accepted.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is no POST.
    Method,
    /// Its body is of another type.
    MediaType,
    /// Its signature, its token or its credential is not right. It does not say which.
    Credentials,
    /// Its body is too large.
    TooLarge,
    /// Its body took too long.
    Slow,
    /// Its body is no event.
    Body(String),
    /// There is no room, or no key to be had.
    Busy,
}

/// The answer. Its text is for whoever looks for what is wrong.
pub(super) fn answer(outcome: Result<(), Refusal>, retry_after: Duration) -> Response<Body> {
    let (status, text) = match outcome {
        Ok(()) => return Response::new(Body::empty()),
        Err(Refusal::Method) => (StatusCode::METHOD_NOT_ALLOWED, "send POST".to_owned()),
        Err(Refusal::MediaType) => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send application/a2a+json or application/json".to_owned(),
        ),
        Err(Refusal::Credentials) => (
            StatusCode::UNAUTHORIZED,
            "the signature, the token or the credential is missing or wrong".to_owned(),
        ),
        Err(Refusal::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large".to_owned()),
        Err(Refusal::Slow) => (StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned()),
        Err(Refusal::Body(why)) => (StatusCode::BAD_REQUEST, why),
        Err(Refusal::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "come again later".to_owned()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        _ => {}
    }
    response
}

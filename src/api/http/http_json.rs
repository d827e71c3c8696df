//! The HTTP+JSON binding (specification 11): parameters from path, query and body; the message itself as the answer.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use tower::BoxError;

use super::media::{self, Media};
use super::operation::{Answer, Operation, Outcome, Source};
use super::router::Names;
use super::stream::{self, Envelope};
use super::{body, render, reply};
use crate::api::{Api, Body};
use crate::context::CallContext;
use crate::error::Error;
use crate::service::Method;

/// A request that has a route.
pub(super) struct Request<'a> {
    pub(super) head: &'a Parts,
    pub(super) call: Result<CallContext, Error>,
    pub(super) pairs: Result<Vec<(String, String)>, Error>,
    pub(super) method: Method,
    pub(super) names: Names<'a>,
}

/// Answers a request, in `media`.
pub(super) async fn answer<B>(
    api: &Api,
    request: Request<'_>,
    request_id: &Arc<str>,
    media: Media,
    body: B,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let Outcome { answer, activated } = match perform(api, request, body).await {
        Ok(outcome) => outcome,
        Err(error) => return render::http_json(&error, media, request_id),
    };
    let mut response = match answer {
        Answer::Json(json) => reply::json(StatusCode::OK, media, json),
        Answer::Stream(events) => {
            let expired = events.cursor_expired();
            let keepalive = api.settings().sse_keepalive;
            stream::answer(events, Envelope::Plain, request_id.clone(), keepalive, expired)
        }
    };
    reply::set_extensions(response.headers_mut(), &activated);
    response
}

async fn perform<B>(api: &Api, request: Request<'_>, body: B) -> Result<Outcome, Error>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    /// Room for a task of the usual size, so that the buffer grows once at most.
    const BYTES_AHEAD: usize = 1_024;
    let Request {
        head,
        call,
        pairs,
        method,
        names,
    } = request;
    let has_body = head.method == http::Method::POST;
    let call = call?;
    if has_body {
        media::check(&head.headers, body.is_end_stream())?;
    }
    let pairs = pairs?;
    api.service().check_version(&call)?;
    let text = match has_body {
        true => body::read_plain(&head.headers, body, api.settings().body_bytes_max).await?,
        false => Bytes::new(),
    };
    let source = match method {
        _ if !has_body => Source::Query(&pairs),
        Method::CancelTask | Method::SubscribeToTask if text.is_empty() => Source::Empty,
        _ => Source::Json(&text),
    };
    let operation = Operation {
        api,
        call: &call,
        method,
        source,
        names,
    };
    operation.perform(Vec::with_capacity(BYTES_AHEAD)).await
}

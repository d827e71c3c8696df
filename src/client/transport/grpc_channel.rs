//! The channel of gRPC, with a look at what answers: it may be no gRPC at all.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::MapFrame;
use hyper::body::Frame;
use tonic::body::Body;
use tower::Service;

use super::{errors, http as shared};
use crate::client::AgentError;
use crate::client::upload::SwappedBody;
use crate::client::wire::{Inbound, Line};
use crate::egress;

/// The header, or trailer, without which no answer is one of gRPC.
const GRPC_STATUS: &str = "grpc-status";

/// Stands with each failure that has come over the wire, as tonic's own look the same otherwise.
pub(super) const RECEIVED: &str = "a2ad-received";

/// An answer whose failures are marked.
type Marked = MapFrame<Inbound, fn(Frame<Bytes>) -> Frame<Bytes>>;

/// Why there is no answer of gRPC.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    /// The egress guard says so.
    #[error(transparent)]
    Egress(#[from] egress::Error),
    /// A redirect, or an answer of another protocol.
    #[error("{0}")]
    Malformed(String),
    /// A proxy, or a server that doesn't know gRPC, answered with an error of HTTP.
    #[error(transparent)]
    Agent(Box<AgentError>),
}

/// Sends the requests of gRPC, and hands over what is an answer of gRPC.
#[derive(Clone)]
pub(super) struct GrpcChannel(pub(super) Line<Body>);

impl GrpcChannel {
    async fn exchange(self, mut request: Request<Body>) -> Result<Response<Marked>, ChannelError> {
        if let Some(body) = SwappedBody::take(request.extensions_mut()) {
            *request.body_mut() = Body::new(body);
        }
        let (mut head, body) = self.0.exchange(request).await?.into_parts();
        if let Some(redirect) = shared::redirect(&head) {
            return Err(ChannelError::Malformed(redirect));
        }
        let has_status = head.headers.contains_key(GRPC_STATUS);
        if head.status != StatusCode::OK && !has_status {
            return Err(ChannelError::Agent(Box::new(errors::bare(&head))));
        }
        let kind = head
            .headers
            .get(CONTENT_TYPE)
            .map_or(&b""[..], |value| value.as_bytes());
        if !has_status && !kind.starts_with(b"application/grpc") {
            let found = shared::shown(&head.headers, &CONTENT_TYPE);
            return Err(ChannelError::Malformed(format!(
                "its type is {found}, not application/grpc"
            )));
        }
        mark(&mut head.headers);
        Ok(Response::from_parts(head, body.map_frame(marked)))
    }
}

fn marked(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        mark(trailers);
    }
    frame
}

/// Marks what says that a call failed.
fn mark(headers: &mut HeaderMap) {
    if headers.get(GRPC_STATUS).is_some_and(|status| status != "0") {
        headers.insert(RECEIVED, HeaderValue::from_static("1"));
    }
}

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Marked>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Marked>, ChannelError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}

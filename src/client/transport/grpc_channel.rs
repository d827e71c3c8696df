//! The channel of gRPC, with a look at what answers: it may be no gRPC at all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tower::Service;

use super::{errors, http as shared};
use crate::client::AgentError;
use crate::client::upload::SwappedBody;
use crate::client::wire::{Inbound, Line};
use crate::egress;

/// The header, or trailer, without which no answer is one of gRPC.
const GRPC_STATUS: &str = "grpc-status";

/// Whether the answer to a call has said over the wire that the call failed: failures of tonic's own look the same
/// otherwise. It goes along with the request as an extension, so that nothing that an agent sends can look like it.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Received(Arc<AtomicBool>);

impl Received {
    /// Whether it has.
    pub(in crate::client) fn is_failure(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Notes what headers or trailers say.
    fn note(&self, headers: &HeaderMap) {
        if headers.get(GRPC_STATUS).is_some_and(|status| status != "0") {
            self.0.store(true, Ordering::Release);
        }
    }
}

/// The body of an answer, whose trailers are noted.
pub(in crate::client) struct Noted {
    body: Inbound,
    received: Received,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.received.note(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why there is no answer of gRPC.
#[derive(Debug, thiserror::Error)]
pub(in crate::client) enum ChannelError {
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
pub(in crate::client) struct GrpcChannel(pub(in crate::client) Line<Body>);

impl GrpcChannel {
    async fn exchange(self, mut request: Request<Body>) -> Result<Response<Noted>, ChannelError> {
        let received: Received = request.extensions_mut().remove().unwrap_or_default();
        if let Some(body) = SwappedBody::take(request.extensions_mut()) {
            *request.body_mut() = Body::new(body);
        }
        let (head, body) = self.0.exchange(request).await?.into_parts();
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
        received.note(&head.headers);
        Ok(Response::from_parts(head, Noted { body, received }))
    }
}

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Noted>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Noted>, ChannelError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}

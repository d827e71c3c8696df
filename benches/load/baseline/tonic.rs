//! A bare tonic service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use a2ad::pb::{SendMessageRequest, SendMessageResponse, StreamResponse, SubscribeToTaskRequest};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::{Outcome, payload};

/// Serves until it is killed.
pub async fn serve(listener: TcpListener) -> Outcome {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tonic::transport::Server::builder()
        .add_service(TonicEcho)
        .serve_with_incoming(incoming)
        .await?)
}

/// What tonic's generator would write for a service with these methods.
#[derive(Clone)]
struct TonicEcho;

impl NamedService for TonicEcho {
    const NAME: &'static str = "lf.a2a.v1.A2AService";
}

impl tower::Service<Request<Body>> for TonicEcho {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            payload::SEND_MESSAGE => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.unary(Echo, request).await)
            }),
            payload::SEND_STREAMING_MESSAGE => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.server_streaming(Ticks, request).await)
            }),
            payload::SUBSCRIBE_TO_TASK => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.server_streaming(Idle, request).await)
            }),
            _ => Box::pin(async { Ok(Status::new(Code::Unimplemented, "").into_http()) }),
        }
    }
}

struct Echo;

impl UnaryService<SendMessageRequest> for Echo {
    type Response = SendMessageResponse;
    type Future = Ready<Result<tonic::Response<SendMessageResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<SendMessageRequest>) -> Self::Future {
        let answer = payload::answer(request.into_inner()).map(tonic::Response::new);
        ready(answer.ok_or_else(|| Status::invalid_argument("no message")))
    }
}

type Stream = BoxStream<'static, Result<StreamResponse, Status>>;
type Streaming = Ready<Result<tonic::Response<Stream>, Status>>;

/// As many events as the message orders with `ticks:N:0:0:PAD`, as fast as they go.
struct Ticks;

impl ServerStreamingService<SendMessageRequest> for Ticks {
    type Response = StreamResponse;
    type ResponseStream = Stream;
    type Future = Streaming;

    fn call(&mut self, request: tonic::Request<SendMessageRequest>) -> Self::Future {
        let Some((count, pad)) = payload::ticks_of(request.get_ref()) else {
            return ready(Err(Status::invalid_argument("the form is ticks:N:0:0:PAD")));
        };
        let padding = "x".repeat(pad);
        let ticks = (0..count).map(move |index| Ok(payload::tick(index, index + 1 == count, &padding)));
        ready(Ok(tonic::Response::new(stream::iter(ticks).boxed())))
    }
}

/// One event, and then nothing for ever.
struct Idle;

impl ServerStreamingService<SubscribeToTaskRequest> for Idle {
    type Response = StreamResponse;
    type ResponseStream = Stream;
    type Future = Streaming;

    fn call(&mut self, _: tonic::Request<SubscribeToTaskRequest>) -> Self::Future {
        let first = stream::iter([Ok(payload::snapshot())]);
        ready(Ok(tonic::Response::new(first.chain(stream::pending()).boxed())))
    }
}

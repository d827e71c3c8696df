//! Bare servers: the same payload with nothing but the framework that a2ad stands on.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use a2ad::pb::{SendMessageRequest, SendMessageResponse};
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::options::Baseline;
use crate::{Outcome, payload};

/// Serves until it is killed.
pub fn serve(which: Baseline) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        eprintln!("ready {address}");
        match which {
            Baseline::Tonic => serve_tonic(listener).await,
            Baseline::Axum => Err("not yet".into()),
        }
    })
}

async fn serve_tonic(listener: TcpListener) -> Outcome {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tonic::transport::Server::builder()
        .add_service(TonicEcho)
        .serve_with_incoming(incoming)
        .await?)
}

/// What tonic's generator would write for a service with this one method.
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

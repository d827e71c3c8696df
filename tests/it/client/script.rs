//! A server that answers every request with what the test says, by HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use a2ad::shutdown::Shutdown;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub head: Parts,
    pub body: Bytes,
}

type Answer = dyn Fn(&Got) -> Response<Full<Bytes>> + Send + Sync;

#[derive(Clone)]
pub struct Script {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Script {
    pub async fn new(answer: impl Fn(&Got) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let script = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
        };
        let (answer, got): (Arc<Answer>, _) = (Arc::new(answer), script.got.clone());
        Shutdown::new().spawn_unstoppable("script", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, got) = (answer.clone(), got.clone());
                Shutdown::new().spawn_unstoppable("script", async move {
                    let service = service_fn(move |request| answered(request, answer.clone(), got.clone()));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // A client may leave when it likes.
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        script
    }

    /// The same answer to everything.
    pub async fn saying(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Full::new(body.into())).unwrap();
        Self::new(move |_| response.clone()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn answered(
    request: Request<Incoming>,
    answer: Arc<Answer>,
    got: Arc<Mutex<Vec<Got>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let one = Got { head, body };
    let response = answer(&one);
    got.lock().unwrap().push(one);
    Ok(response)
}

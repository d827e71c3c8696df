//! A receiver of webhooks in this process: HTTP/1.1 with keep-alive, by hyper.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Outcome;
use crate::client::Background;

/// The receiver; it goes on until its background ends.
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
    open: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    taken: AtomicU64,
    body_bytes: AtomicU64,
}

impl Receiver {
    /// One that takes requests and answers none until it is opened.
    pub async fn shut(background: &mut Background) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, is_open) = watch::channel(false);
        let state = Arc::new(State::default());
        let of_receiver = state.clone();
        background.spawn(async move {
            let mut connections = Background::default();
            while let Ok((tcp, _)) = listener.accept().await {
                let (state, is_open) = (of_receiver.clone(), is_open.clone());
                connections.spawn(async move {
                    let _ = tcp.set_nodelay(true);
                    let answer = service_fn(move |request| answer(request, state.clone(), is_open.clone()));
                    // What a sender breaks shows itself in what is not taken.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(tcp), answer)
                        .await;
                });
            }
        });
        Ok(Self { address, state, open })
    }

    /// Answers everything from now on, or nothing.
    pub fn open(&self, is_open: bool) {
        self.open.send_replace(is_open);
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Requests that were answered.
    pub fn taken(&self) -> u64 {
        self.state.taken.load(Ordering::Relaxed)
    }

    /// The mean length of a body.
    pub fn body_bytes(&self) -> u64 {
        let bytes = self.state.body_bytes.load(Ordering::Relaxed);
        bytes / self.taken().max(1)
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    mut is_open: watch::Receiver<bool>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let length = body.map_or(0, |body| body.to_bytes().len());
    // An error says that the receiver is gone, and all its connections with it.
    let _ = is_open.wait_for(|open| *open).await;
    state.taken.fetch_add(1, Ordering::Relaxed);
    state.body_bytes.fetch_add(length as u64, Ordering::Relaxed);
    Ok(Response::new(Empty::new()))
}

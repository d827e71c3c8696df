//! A server on a free port and bare HTTP clients, for the tests of sockets.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use a2ad::server::{Peer, ServerSettings, serve};
use a2ad::shutdown::Shutdown;
use a2ad::tls::TlsSource;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// Gives up on something that hangs. Long, because a busy machine is no failure.
pub async fn soon<F: Future>(what: &str, work: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(20), work).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen in 20 s"),
    }
}

/// Holds requests to `/hold` until the test lets them go.
#[derive(Clone)]
pub struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until a request stands at the gate.
    pub async fn entered(&self) {
        soon("a request at the gate", self.entered.acquire())
            .await
            .unwrap()
            .forget();
    }

    /// Lets one request go.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/hold" {
            self.entered.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        }
        let peer = request
            .extensions()
            .get::<Arc<Peer>>()
            .expect("every request has its peer");
        if request.uri().path() == "/address" {
            let address = peer.addr.expect("an address").to_string();
            return Ok(Response::new(Full::from(address)));
        }
        let identity = peer
            .identity
            .as_ref()
            .map_or("anonymous", |identity| identity.as_str());
        let channel = if peer.tls { "tls" } else { "plain" };
        let text = format!("{:?} {channel} {identity}", request.version());
        Ok(Response::new(Full::from(text)))
    }
}

pub struct Server {
    pub addr: SocketAddr,
    pub gate: Gate,
    pub shutdown: Shutdown,
    done: oneshot::Receiver<()>,
}

impl Server {
    pub async fn start(tls: Option<Arc<TlsSource>>, settings: ServerSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (gate, shutdown) = (Gate::new(), Shutdown::new());
        let at_gate = gate.clone();
        let service = tower::service_fn(move |request| at_gate.clone().answer(request));
        let (finish, done) = oneshot::channel();
        let serving = serve(listener, tls, service, settings, shutdown.clone(), Arc::new(()));
        Shutdown::new().spawn_unstoppable("server", async move {
            serving.await;
            let _ = finish.send(());
        });
        Self {
            addr,
            gate,
            shutdown,
            done,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        soon("a connection", TcpStream::connect(self.addr)).await.unwrap()
    }

    pub fn is_done(&mut self) -> bool {
        self.done.try_recv().is_ok()
    }

    /// Waits until `serve` has returned and nothing that it started runs any more.
    pub async fn done(self) {
        soon("the end of serve", self.done).await.unwrap();
        assert!(
            self.shutdown.finished(Duration::from_secs(20)).await,
            "tasks were left behind"
        );
    }
}

/// A connection of a client.
pub struct Client<S> {
    pub send: S,
    closed: oneshot::Receiver<()>,
}

impl<S> Client<S> {
    fn new<C>(send: S, connection: C) -> Self
    where
        C: Future + Send + 'static,
    {
        let (close, closed) = oneshot::channel();
        Shutdown::new().spawn_unstoppable("client", async move {
            let _ = connection.await;
            let _ = close.send(());
        });
        Self { send, closed }
    }

    /// Waits until the connection is closed.
    pub async fn closed(self) {
        soon("the end of the connection", self.closed).await.unwrap();
    }
}

pub fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .uri(format!("http://localhost{path}"))
        .header("host", "localhost")
        .body(Empty::new())
        .unwrap()
}

pub async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

pub async fn http1<IO>(io: IO) -> hyper::Result<Client<http1::SendRequest<Empty<Bytes>>>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = http1::handshake(TokioIo::new(io)).await?;
    Ok(Client::new(send, connection))
}

pub async fn http2<IO>(io: IO) -> hyper::Result<Client<http2::SendRequest<Empty<Bytes>>>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    Ok(Client::new(send, connection))
}

//! gRPC over a bare HTTP/2 connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Version};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Background;
use crate::Outcome;

/// So large that credit is hardly ever a matter: it is not what is measured.
const WINDOW_BYTES: u32 = 1 << 30;

/// One connection.
#[derive(Clone)]
pub struct Connection {
    send: SendRequest<Bytes>,
    address: SocketAddr,
}

impl Connection {
    pub async fn open(address: SocketAddr, background: &mut Background) -> Outcome<Self> {
        Self::open_narrow(address, WINDOW_BYTES, background).await
    }

    /// One whose streams have so much credit and no more, unless what has come is released.
    pub async fn open_narrow(
        address: SocketAddr,
        window_bytes: u32,
        background: &mut Background,
    ) -> Outcome<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Self::open_over(tcp, address, window_bytes, background).await
    }

    /// One by TLS, with whatever certificate the configuration has.
    pub async fn open_tls(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        background: &mut Background,
    ) -> Outcome<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = "localhost".try_into()?;
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        Self::open_over(tls, address, WINDOW_BYTES, background).await
    }

    async fn open_over(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        window_bytes: u32,
        background: &mut Background,
    ) -> Outcome<Self> {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(window_bytes)
            .initial_connection_window_size(WINDOW_BYTES);
        let (send, connection) = builder.handshake::<_, Bytes>(io).await?;
        background.spawn(async move {
            // What breaks the connection shows itself in its requests.
            let _ = connection.await;
        });
        Ok(Self { send, address })
    }

    /// A request as it goes out every time.
    pub fn request(&self, path: &str) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = format!("http://{}{path}", self.address)
            .parse()
            .expect("an address and a path");
        let headers = request.headers_mut();
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("a2a-version", "1.0"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        request
    }

    /// Sends one message; the answer begins with the stream.
    pub async fn start(&mut self, request: Request<()>, frame: Bytes) -> Outcome<RecvStream> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut body) = send.send_request(request, false)?;
        body.send_data(frame, true)?;
        let (head, body) = response.await?.into_parts();
        check_status(&head.headers)?;
        Ok(body)
    }

    /// One unary call: the number of bytes in the answer.
    pub async fn unary(&mut self, request: Request<()>, frame: Bytes) -> Outcome<usize> {
        let mut body = self.start(request, frame).await?;
        let mut length = 0;
        while let Some(data) = next(&mut body).await? {
            length += data.len();
        }
        if length <= 5 {
            return Err("an empty answer".into());
        }
        Ok(length)
    }

    /// One unary call with its whole answer.
    pub async fn unary_body(&mut self, request: Request<()>, frame: Bytes) -> Outcome<Bytes> {
        let mut body = self.start(request, frame).await?;
        let mut all = BytesMut::new();
        while let Some(data) = next(&mut body).await? {
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }
}

/// The next piece of a body; none at the end, once its trailers have said that all is well.
pub async fn next(body: &mut RecvStream) -> Outcome<Option<Bytes>> {
    if let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        return Ok(Some(data));
    }
    let trailers = body.trailers().await?.ok_or("an answer without trailers")?;
    if !trailers.contains_key("grpc-status") {
        return Err("trailers without grpc-status".into());
    }
    check_status(&trailers)?;
    Ok(None)
}

/// Head or trailers: a status other than zero is an error in both.
fn check_status(headers: &HeaderMap) -> Outcome {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => {
            let message = headers
                .get("grpc-message")
                .and_then(|text| text.to_str().ok())
                .unwrap_or_default();
            Err(format!("grpc-status {status:?}: {message}").into())
        }
        _ => Ok(()),
    }
}

/// Counts the messages of a stream, which begin and end anywhere in its pieces.
#[derive(Default)]
pub struct Messages {
    /// The head of the message that begins: a flag and four bytes of length.
    head: [u8; 5],
    head_length: usize,
    /// Bytes of the running message that are still to come.
    rest: usize,
}

impl Messages {
    /// How many messages begin in this piece.
    pub fn count(&mut self, mut piece: &[u8]) -> u64 {
        let mut count = 0;
        while !piece.is_empty() {
            let skipped = self.rest.min(piece.len());
            self.rest -= skipped;
            piece = &piece[skipped..];
            while self.rest == 0
                && let Some((&byte, after)) = piece.split_first()
            {
                piece = after;
                self.head[self.head_length] = byte;
                self.head_length += 1;
                if self.head_length == self.head.len() {
                    let [_, length @ ..] = self.head;
                    (self.rest, self.head_length) = (u32::from_be_bytes(length) as usize, 0);
                    count += 1;
                }
            }
        }
        count
    }
}

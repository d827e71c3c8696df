//! Readers that stop reading, made of bare HTTP/2 and bare TCP.

use std::net::SocketAddr;

use a2ad::pb::SubscribeToTaskRequest;
use a2ad::pb::json;
use a2ad::shutdown::Shutdown;
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::wire::Wire;
use super::wire::http::{envelope, frame};
use crate::sockets::soon;

/// What a reader has of a stream: all bytes that have come, and the generation of the first event.
#[derive(Debug, Default)]
pub struct Seen {
    pub bytes: Vec<u8>,
    first_generation: u64,
}

impl Seen {
    /// The generation of the last event that has come whole.
    pub fn cursor(&self, wire: Wire) -> u64 {
        if wire == Wire::Grpc {
            return self.first_generation + self.messages() - 1;
        }
        let text = String::from_utf8_lossy(&self.bytes);
        let whole = text.rsplit_once("\n\n").expect("at least one event").0;
        let mut ids = whole.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().expect("events have ids").parse().unwrap()
    }

    /// Whole gRPC messages.
    fn messages(&self) -> u64 {
        let (mut rest, mut count) = (self.bytes.as_slice(), 0);
        while let Some((head, body)) = rest.split_at_checked(5) {
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            let Some((_, next)) = body.split_at_checked(length) else {
                break;
            };
            (rest, count) = (next, count + 1);
        }
        count
    }
}

/// An HTTP/2 connection whose windows are never opened again once they are full.
#[derive(Clone)]
pub struct Connection {
    address: SocketAddr,
    send: SendRequest<Bytes>,
}

impl Connection {
    /// A connection that is fast, however little its streams are read.
    pub async fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1 << 30);
        let (send, connection) = builder.handshake::<_, Bytes>(tcp).await.unwrap();
        Shutdown::new().spawn_unstoppable("client", async move {
            let _ = connection.await;
        });
        Self { address, send }
    }

    /// A stream that is taken as far as its window of 64 KiB goes.
    pub async fn subscribe(&self, wire: Wire, request: &SubscribeToTaskRequest) -> Stream {
        let (request, body) = subscription(self.address, wire, request);
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, mut sink) = send.send_request(request, false).unwrap();
        sink.send_data(body, true).unwrap();
        let (head, body) = soon("the head of a stream", response).await.unwrap().into_parts();
        assert_eq!(head.status, 200, "{head:?}");
        assert!(!head.headers.contains_key("grpc-status"), "{head:?}");
        let first = head.headers.get("a2ad-first-generation");
        let first_generation = first.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        Stream {
            body,
            seen: Seen {
                bytes: Vec::new(),
                first_generation,
            },
        }
    }
}

/// A stream whose window is not opened again.
pub struct Stream {
    body: h2::RecvStream,
    seen: Seen,
}

impl Stream {
    /// Waits until the server ends the stream: the reason that it gives, and what had come.
    pub async fn reset(mut self) -> (Option<h2::Reason>, Seen) {
        let end = async {
            loop {
                match self.body.data().await {
                    Some(Ok(data)) => self.seen.bytes.extend_from_slice(&data),
                    Some(Err(error)) => return error.reason(),
                    None => panic!("a stream that was not read ended as if it were whole"),
                }
            }
        };
        let reason = tokio::time::timeout(super::engine::PATIENCE * 3, end).await;
        (reason.expect("an end of the stream"), self.seen)
    }
}

/// A TCP connection with small buffers that has asked for a stream over HTTP/1.1 and reads nothing.
pub async fn http1(address: SocketAddr, wire: Wire, request: &SubscribeToTaskRequest) -> TcpStream {
    let mut tcp = narrow(address).await;
    let (request, body) = subscription(address, wire, request);
    let mut head = format!("POST {} HTTP/1.1\r\nhost: localhost\r\n", request.uri().path());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.write_all(&body).await.unwrap();
    soon("the head of a stream", tcp.peek(&mut [0])).await.unwrap();
    tcp
}

/// All that still comes over HTTP/1.1 before the server's end of the connection, out of its chunks.
pub async fn rest(mut tcp: TcpStream) -> Seen {
    let mut raw = Vec::new();
    // What was on its way comes whole; then the connection may also break.
    let _ = soon("the end of the connection", tcp.read_to_end(&mut raw)).await;
    let head = raw
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    Seen {
        bytes: without_chunks(&raw[head + 4..]),
        first_generation: 0,
    }
}

fn without_chunks(mut raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(end) = raw.windows(2).position(|pair| pair == b"\r\n") {
        let length = std::str::from_utf8(&raw[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let data = &raw[end + 2..];
        bytes.extend_from_slice(&data[..length.min(data.len())]);
        raw = data.get(length + 2..).unwrap_or_default();
    }
    bytes
}

/// An HTTP/2 connection with wide windows and small buffers that has asked for a stream by gRPC and that nobody drives
/// any more; dropping it closes the socket.
pub struct Undriven {
    _connection: h2::client::Connection<TcpStream, Bytes>,
    _response: h2::client::ResponseFuture,
    _send: SendRequest<Bytes>,
}

impl Undriven {
    pub async fn subscribe(address: SocketAddr, request: &SubscribeToTaskRequest) -> Self {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(1 << 30)
            .initial_connection_window_size(1 << 30);
        let (mut send, mut connection) = builder
            .handshake::<_, Bytes>(narrow(address).await)
            .await
            .unwrap();
        let (request, body) = subscription(address, Wire::Grpc, request);
        let (mut response, mut sink) = send.send_request(request, false).unwrap();
        sink.send_data(body, true).unwrap();
        // Driven until the stream has begun, and never again.
        tokio::select! {
            _ = &mut connection => panic!("the connection ended"),
            begun = soon("the head of a stream", &mut response) => assert_eq!(begun.unwrap().status(), 200),
        }
        Self {
            _connection: connection,
            _response: response,
            _send: send,
        }
    }
}

async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// SubscribeToTask by a binding.
fn subscription(address: SocketAddr, wire: Wire, request: &SubscribeToTaskRequest) -> (Request<()>, Bytes) {
    let (path, kind, body) = match wire {
        Wire::Grpc => (
            "/lf.a2a.v1.A2AService/SubscribeToTask".to_owned(),
            "application/grpc",
            frame(&request.encode_to_vec()),
        ),
        Wire::JsonRpc => (
            "/".to_owned(),
            "application/json",
            envelope("SubscribeToTask", request).into_bytes(),
        ),
        Wire::HttpJson => (
            format!("/{}/tasks/{}:subscribe", request.tenant, request.id),
            "application/json",
            json::to_vec(&SubscribeToTaskRequest::default()).unwrap(),
        ),
    };
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", kind)
        .header("te", "trailers")
        .header("a2a-version", "1.0");
    (request.body(()).unwrap(), Bytes::from(body))
}

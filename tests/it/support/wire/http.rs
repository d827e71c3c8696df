//! Bare HTTP/1.1 for the JSON bindings, and gRPC frames made by hand.

use std::net::{IpAddr, SocketAddr};

use a2ad::pb::json;
use a2ad::shutdown::Shutdown;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, value::RawValue};
use tokio::net::{TcpSocket, TcpStream};

use super::{Wire, WireError};
use crate::sockets::soon;

pub type Outgoing = Request<Full<Bytes>>;

/// A request with these headers, and a JSON body unless it is empty.
pub fn request(verb: &str, path: &str, headers: &HeaderMap, body: Vec<u8>) -> Outgoing {
    let mut request = Request::builder()
        .method(verb)
        .uri(path)
        .body(Full::default())
        .unwrap();
    if !body.is_empty() {
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request.headers_mut().extend(headers.clone());
    *request.body_mut() = Full::new(Bytes::from(body));
    request
}

/// The envelope of JSON-RPC around a message.
pub fn envelope(method: &str, message: &impl serde::Serialize) -> String {
    let params = String::from_utf8(json::to_vec(message).unwrap()).unwrap();
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
}

/// One request over a connection of its own.
pub async fn exchange(
    address: SocketAddr,
    from: Option<IpAddr>,
    mut request: Outgoing,
) -> Response<Incoming> {
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("localhost"));
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0)).unwrap();
    }
    let tcp = socket.connect(address).await.unwrap();
    let (mut send, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
    Shutdown::new().spawn_unstoppable("client", async move {
        let _ = connection.await;
    });
    soon("an answer", send.send_request(request)).await.unwrap()
}

/// One gRPC request of any bytes, by no gRPC client: those keep deadlines themselves.
pub async fn raw_grpc(address: SocketAddr, path: &str, headers: &HeaderMap, body: Vec<u8>) -> Reply {
    let mut request = Request::post(format!("http://{address}{path}"))
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    request.headers_mut().extend(headers.clone());
    let kind = HeaderValue::from_static("application/grpc");
    request.headers_mut().entry(header::CONTENT_TYPE).or_insert(kind);
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
        .await
        .unwrap();
    Shutdown::new().spawn_unstoppable("client", async move {
        let _ = connection.await;
    });
    let response = soon("an answer", send.send_request(request)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = soon("the rest of an answer", body.collect()).await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Reply {
        status: head.status.as_u16(),
        headers,
        body: body.to_bytes(),
    }
}

/// One message in a frame of gRPC.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// A response, read to its end; the trailers stand among its headers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = soon("the rest of an answer", body.collect())
            .await
            .unwrap()
            .to_bytes();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The error in it.
    pub fn error(self, wire: Wire) -> WireError {
        if wire == Wire::Grpc {
            let status = tonic::Status::from_header_map(&self.headers).expect("a gRPC status");
            return WireError::from_status(status);
        }
        match self.clone().result(wire) {
            Err(error) => error,
            Ok(_) => panic!("no error: {self:?}"),
        }
    }

    /// The JSON of the message in it, or its error.
    pub fn result(self, wire: Wire) -> Result<(HeaderMap, Vec<u8>), WireError> {
        let json = self.json();
        if let Some(error) = json.get("error") {
            if wire == Wire::HttpJson {
                assert_eq!(error["code"], self.status, "{self:?}");
            }
            return Err(WireError::from_json(wire, self.status, self.headers, error));
        }
        assert_eq!(self.status, 200, "{self:?}");
        if wire == Wire::HttpJson {
            return Ok((self.headers, self.body.to_vec()));
        }
        #[derive(serde::Deserialize)]
        struct Envelope<'a> {
            id: u32,
            #[serde(borrow)]
            result: &'a RawValue,
        }
        let envelope: Envelope<'_> = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(envelope.id, 7);
        Ok((self.headers, envelope.result.get().as_bytes().to_vec()))
    }
}

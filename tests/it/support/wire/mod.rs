//! One client for the three bindings: the same prost messages go in, the same prost messages and errors come out.

mod dial;
mod error;
mod events;
pub mod http;
mod rpc;

use std::net::SocketAddr;
use std::str::FromStr;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use a2ad::pb::client::A2aServiceClient;
use a2ad::pb::json;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

pub use dial::Dial;
pub use error::WireError;
pub use events::EventReader;
pub use http::Reply;
pub use rpc::{Rpc, StreamRpc, percent};

/// A protocol binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Grpc,
    JsonRpc,
    HttpJson,
}

impl Wire {
    pub const ALL: [Self; 3] = [Self::Grpc, Self::JsonRpc, Self::HttpJson];
}

/// Makes one test per binding of each `async fn test(wire: Wire)`, and one whose tasks are in PostgreSQL.
macro_rules! for_each_binding {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use crate::support::wire::Wire;

            #[tokio::test]
            async fn grpc() {
                Box::pin(super::$test(Wire::Grpc)).await;
            }

            #[tokio::test]
            async fn json_rpc() {
                Box::pin(super::$test(Wire::JsonRpc)).await;
            }

            #[tokio::test]
            async fn http_json() {
                Box::pin(super::$test(Wire::HttpJson)).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let test = Box::pin(super::$test(Wire::HttpJson));
                crate::support::world::on_postgres(test).await;
            }
        }
    )*};
}
pub(crate) use for_each_binding;

/// A message with the headers that came with it.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    pub message: T,
    pub headers: HeaderMap,
}

/// A caller over one binding.
#[derive(Clone)]
pub struct TestClient {
    pub wire: Wire,
    address: SocketAddr,
    dial: Dial,
    channel: Channel,
    headers: HeaderMap,
    /// The agent that the path names; on gRPC there is no path, and the tenant stands in for it.
    path: String,
    query: String,
}

impl TestClient {
    pub fn new(address: SocketAddr, wire: Wire) -> Self {
        Self::over(address, wire, Dial::Clear)
    }

    pub fn over(address: SocketAddr, wire: Wire, dial: Dial) -> Self {
        let channel = dial.channel(address);
        let mut headers = HeaderMap::new();
        headers.insert("a2a-version", HeaderValue::from_static("1.0"));
        Self {
            wire,
            address,
            dial,
            channel,
            headers,
            path: String::new(),
            query: String::new(),
        }
    }

    /// Sends one more header, or metadata.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .insert(HeaderName::from_str(name).unwrap(), value.parse().unwrap());
        self
    }

    /// Sends a header once more.
    pub fn with_another(mut self, name: &str, value: &str) -> Self {
        self.headers
            .append(HeaderName::from_str(name).unwrap(), value.parse().unwrap());
        self
    }

    /// Calls from this address, one of the machine's own.
    pub fn from(mut self, address: [u8; 4]) -> Self {
        self.dial = Dial::From(address.into());
        self.channel = self.dial.channel(self.address);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Resumes behind a generation.
    pub fn behind(self, generation: u64) -> Self {
        let name = if self.wire == Wire::Grpc {
            "a2ad-last-generation"
        } else {
            "last-event-id"
        };
        self.with(name, &generation.to_string())
    }

    /// Names an agent in the path.
    pub fn at(mut self, agent: &str) -> Self {
        self.path = if agent.is_empty() {
            String::new()
        } else {
            format!("/{agent}")
        };
        self
    }

    /// Adds to the query of every URL.
    pub fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    pub async fn call<R: Rpc>(&self, request: R) -> Result<R::Response, WireError> {
        self.full(request).await.map(|answered| answered.message)
    }

    /// The answer with its headers.
    pub async fn full<R: Rpc>(&self, request: R) -> Result<Answered<R::Response>, WireError> {
        match self.wire {
            Wire::Grpc => {
                let answer = R::grpc(&mut self.grpc(), self.request(request)).await;
                let (metadata, message, _) = answer.map_err(WireError::from_status)?.into_parts();
                Ok(Answered {
                    message,
                    headers: metadata.into_headers(),
                })
            }
            Wire::JsonRpc | Wire::HttpJson => {
                let reply = match self.wire {
                    Wire::JsonRpc => self.post(&http::envelope(R::METHOD, &request)).await,
                    _ => self.route(request.route()).await,
                };
                let (headers, text) = reply.result(self.wire)?;
                Ok(Answered {
                    message: R::read(&text),
                    headers,
                })
            }
        }
    }

    pub async fn stream<R: StreamRpc>(&self, request: R) -> Result<EventReader, WireError> {
        match self.wire {
            Wire::Grpc => {
                let answer = R::grpc_stream(&mut self.grpc(), self.request(request)).await;
                answer.map(EventReader::grpc).map_err(WireError::from_status)
            }
            Wire::JsonRpc => {
                let response = self
                    .open(self.rpc_request(&http::envelope(R::STREAM_METHOD, &request)))
                    .await;
                EventReader::sse(self.wire, response).await
            }
            Wire::HttpJson => {
                let response = self.open(self.routed(request.stream_route())).await;
                EventReader::sse(self.wire, response).await
            }
        }
    }

    /// A JSON-RPC body as it stands.
    pub async fn post(&self, body: &str) -> Reply {
        Reply::read(self.open(self.rpc_request(body)).await).await
    }

    /// Any HTTP request with a JSON body, or none if it is empty.
    pub async fn http(&self, verb: &str, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply::read(
            self.open(http::request(verb, path, &self.headers, body.into()))
                .await,
        )
        .await
    }

    /// A gRPC request of any method and bytes.
    pub async fn raw_grpc(&self, method: &str, body: Vec<u8>) -> Reply {
        http::raw_grpc(
            &self.dial,
            self.address,
            &format!("/lf.a2a.v1.A2AService/{method}"),
            &self.headers,
            body,
        )
        .await
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn grpc(&self) -> A2aServiceClient<Channel> {
        A2aServiceClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let metadata = MetadataMap::from_headers(self.headers.clone());
        tonic::Request::from_parts(metadata, tonic::Extensions::default(), message)
    }

    fn rpc_request(&self, body: &str) -> http::Outgoing {
        let path = format!("{}/{}", self.path, self.question_mark());
        http::request("POST", &path, &self.headers, body.as_bytes().to_vec())
    }

    fn question_mark(&self) -> String {
        if self.query.is_empty() {
            String::new()
        } else {
            format!("?{}", self.query)
        }
    }

    async fn route(&self, route: rpc::Route) -> Reply {
        Reply::read(self.open(self.routed(route)).await).await
    }

    fn routed(&self, route: rpc::Route) -> http::Outgoing {
        let mut query = route.query;
        if !self.query.is_empty() {
            query = format!("{query}{}{}", if query.is_empty() { "" } else { "&" }, self.query);
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{}{mark}{query}", self.path, route.path);
        http::request(route.verb, &path, &self.headers, route.body)
    }

    async fn open(&self, request: http::Outgoing) -> ::http::Response<hyper::body::Incoming> {
        http::exchange(&self.dial, self.address, request).await
    }
}

/// Reads what a binding wrote as JSON.
fn parsed<T: serde::de::DeserializeOwned>(text: &[u8]) -> T {
    json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

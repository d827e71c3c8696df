//! A web site on this machine that answers as the test says, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use a2ad::shutdown::Shutdown;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A value of the form in the body.
    pub fn form(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Whether a text is anywhere in it.
    pub fn holds(&self, text: &str) -> bool {
        let in_header = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(text);
        self.path.contains(text) || self.body.contains(text) || self.headers.values().any(in_header)
    }
}

/// The site; it goes with the value.
pub struct Site {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    shutdown: Shutdown,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.abort();
    }
}

impl Site {
    pub async fn start(answer: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let all = asked.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (answer, all) = (answer.clone(), all.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
                let one = Asked {
                    path: head
                        .uri
                        .path_and_query()
                        .map_or("/", |path| path.as_str())
                        .to_owned(),
                    headers: head.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                all.lock().unwrap().push(one.clone());
                answer(&one)
            }
        });
        let shutdown = Shutdown::new();
        shutdown.spawn("site", async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            asked,
            shutdown,
        }
    }

    /// The same document at every path.
    pub async fn of(document: impl Into<String>) -> Self {
        let document = document.into();
        Self::start(move |_| ok(&document)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

pub fn ok(document: &str) -> Response {
    answer(200, &[("content-type", "application/json")], document.to_owned())
}

pub fn missing() -> Response {
    answer(404, &[], "")
}

/// The card of an agent with one gRPC interface, and with more members.
pub fn card(name: &str, url: &str, more: Value) -> Value {
    let mut card = json!({
        "name": name, "description": "d", "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "s", "name": "S", "description": "d", "tags": ["t"]}],
    });
    card.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    card
}

/// Members that demand one scheme.
pub fn demanding(scheme: Value) -> Value {
    json!({"securitySchemes": {"s": scheme}, "securityRequirements": [{"schemes": {"s": {}}}]})
}

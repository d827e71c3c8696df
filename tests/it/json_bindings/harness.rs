//! A runtime in memory with a few agents, and requests to it.

use std::sync::Arc;

use a2ad::agent::{Agent, AgentOptions, Agents};
use a2ad::api::{Api, ApiSettings, Body};
use a2ad::audit::Audit;
use a2ad::auth::Authenticator;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::execution::Executions;
use a2ad::pb::{AgentCapabilities, AgentCard, AgentExtension};
use a2ad::push::Pushes;
use a2ad::repository::memory::MemoryRepository;
use a2ad::service::{AgentService, ServiceSettings};
use a2ad::shutdown::Shutdown;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::demo_agents::conformance_agent::{self, ConformanceAgent};
use crate::demo_agents::echo_agent::{self, EchoAgent};

pub const EXTENSION: &str = "urn:example:required";

pub struct World {
    pub api: Api,
    pub shutdown: Shutdown,
}

impl World {
    pub async fn new() -> Self {
        Self::with(ApiSettings::default()).await
    }

    /// Hosts `echo` (the default), `conformance`, `plain` (no capabilities) and `strict` (requires an extension).
    pub async fn with(settings: ApiSettings) -> Self {
        let shutdown = Shutdown::new();
        let clock = Clock::system();
        let repository = Arc::new(MemoryRepository::new());
        let bus = Arc::new(LocalBus::new());
        let executions = Executions::new(
            repository.clone(),
            bus,
            clock.clone(),
            shutdown.clone(),
            Default::default(),
            Audit::off(),
        );
        let service = ServiceSettings::default();
        let service = AgentService::new(
            agents(),
            executions,
            repository,
            clock,
            shutdown.clone(),
            service,
            Pushes::default(),
        )
        .unwrap();
        let api = Api::new(service, Authenticator::open(), settings, shutdown.clone())
            .await
            .unwrap();
        Self { api, shutdown }
    }

    pub async fn respond(&self, request: Request<Full<bytes::Bytes>>) -> Response<Body> {
        self.api.handle(request).await
    }

    pub async fn send(&self, request: Request<Full<bytes::Bytes>>) -> Reply {
        Reply::read(self.respond(request).await).await
    }

    /// An HTTP+JSON request, with a body unless it is empty.
    pub async fn http(&self, verb: &str, path: &str, body: &str) -> Reply {
        self.send(request(verb, path, body)).await
    }

    /// A JSON-RPC request to the path, with id 1.
    pub async fn rpc(&self, path: &str, method: &str, params: &str) -> Reply {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        self.send(request("POST", path, &body)).await
    }

    /// Sends one text to an agent and returns the task.
    pub async fn task(&self, agent: &str, message_id: &str) -> Value {
        let reply = self
            .http(
                "POST",
                &format!("/{agent}/message:send"),
                &message(message_id, "hello"),
            )
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["task"].clone()
    }
}

fn agents() -> Agents {
    let agent = |name, card, executor| {
        let options = AgentOptions::default();
        Agent::new(name, card, executor, options).unwrap()
    };
    let plain = AgentCard {
        capabilities: Some(AgentCapabilities::default()),
        ..echo_agent::card()
    };
    let extension = AgentExtension {
        uri: EXTENSION.to_owned(),
        required: true,
        ..AgentExtension::default()
    };
    let strict = AgentCard {
        capabilities: Some(AgentCapabilities {
            extensions: vec![extension],
            ..AgentCapabilities::default()
        }),
        ..echo_agent::card()
    };
    let agents = vec![
        agent("echo", echo_agent::card(), Arc::new(EchoAgent)),
        agent(
            "conformance",
            conformance_agent::card(),
            Arc::new(ConformanceAgent::default()),
        ),
        agent("plain", plain, Arc::new(EchoAgent)),
        agent("strict", strict, Arc::new(EchoAgent)),
    ];
    Agents::new(agents, Some("echo")).unwrap()
}

/// A request of version 1.0, with a JSON body unless it is empty.
pub fn request(verb: &str, path: &str, body: &str) -> Request<Full<bytes::Bytes>> {
    let mut builder = Request::builder()
        .method(verb)
        .uri(path)
        .header("a2a-version", "1.0");
    if !body.is_empty() {
        builder = builder.header("content-type", "application/json");
    }
    builder
        .body(Full::new(bytes::Bytes::from(body.to_owned())))
        .unwrap()
}

/// The same request with one more header, or the header with another value.
pub fn with(
    mut request: Request<Full<bytes::Bytes>>,
    name: &'static str,
    value: &str,
) -> Request<Full<bytes::Bytes>> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// The body of a SendMessage.
pub fn message(id: &str, text: &str) -> String {
    json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [{"text": text}]}}).to_string()
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The reason of an error, on either binding.
    pub fn reason(&self) -> String {
        let error = &self.json()["error"];
        let details = error.get("details").or(error.get("data"));
        let info = details.and_then(|details| details.get(0)).expect("an ErrorInfo");
        assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
        assert_eq!(info["metadata"]["requestId"], self.header("x-request-id"));
        info["reason"].as_str().unwrap().to_owned()
    }

    /// The events of a stream: (id, data).
    pub fn events(&self) -> Vec<(u64, Value)> {
        assert_eq!(self.header("content-type"), "text/event-stream", "{}", self.body);
        self.body.split_terminator("\n\n").filter_map(event).collect()
    }
}

/// One event; nothing for a comment.
pub fn event(text: &str) -> Option<(u64, Value)> {
    let mut id = 0;
    let mut data = None;
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("id: ") {
            id = value.parse().unwrap();
        } else if let Some(value) = line.strip_prefix("data: ") {
            assert_eq!(
                data.replace(serde_json::from_str(value).unwrap()),
                None,
                "one data line: {text}"
            );
        } else {
            assert!(line.starts_with(':'), "{line}");
        }
    }
    data.map(|data| (id, data))
}

//! A runtime in memory behind the targets that need one, and its answers.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use a2ad::api::Api;
use a2ad::app::{HostedAgent, Runtime};
use a2ad::config::{Config, DatabaseUrl};
use a2ad::pb::{AgentCapabilities, AgentCard};
use a2ad::shutdown::Shutdown;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::super::echo;

/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A world is left behind after so many inputs, and with it the tasks that they have made.
const INPUTS_MAX: u32 = 5_000;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// A runtime with the agent `echo`, its socket, and a task that has ended.
pub struct World {
    tokio: tokio::runtime::Runtime,
    pub api: Api,
    pub address: SocketAddr,
    pub task_id: String,
    inputs: u32,
}

/// An answer, read to its end; trailers stand among the headers.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl World {
    /// Lends the world of this thread to one input.
    pub fn with<T>(use_it: impl FnOnce(&Self) -> T) -> T {
        WORLD.with_borrow_mut(|world| {
            if world.as_ref().is_some_and(|world| world.inputs >= INPUTS_MAX) {
                *world = None;
            }
            let world = world.get_or_insert_with(Self::begin);
            world.inputs += 1;
            use_it(world)
        })
    }

    fn begin() -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let runtime = tokio
            .block_on(Runtime::start(config(), vec![agent()]))
            .expect("a2ad starts");
        let (api, address) = (runtime.api().clone(), runtime.address());
        tokio.block_on(async {
            Shutdown::new().spawn_unstoppable("runtime", runtime.serve_until(std::future::pending()));
        });
        let mut world = Self {
            tokio,
            api,
            address,
            task_id: String::new(),
            inputs: 0,
        };
        let sent = world.answer(post(
            "/message:send",
            r#"{"message":{"messageId":"1","role":"ROLE_USER","parts":[{"text":"x"}]}}"#.into(),
        ));
        let sent: serde_json::Value = serde_json::from_slice(&sent.body).expect("an answer in JSON");
        world.task_id = sent["task"]["id"].as_str().expect("a task").to_owned();
        world
    }

    /// Runs something to its end, which must come.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.tokio.block_on(async {
            tokio::time::timeout(PATIENCE, work)
                .await
                .expect("what takes so long hangs")
        })
    }

    /// The answer to a request that comes by no socket.
    pub fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        self.wait(async {
            let (head, body) = self.api.handle(request).await.into_parts();
            let body = body.collect().await.expect("a body to its end");
            let mut headers = head.headers;
            headers.extend(body.trailers().cloned().unwrap_or_default());
            Answer {
                status: head.status,
                headers,
                body: body.to_bytes(),
            }
        })
    }
}

/// A request of HTTP+JSON or JSON-RPC with a body.
pub fn post(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("content-type", "application/json")
        .header("a2a-version", "1.0")
        .body(Full::new(body))
        .expect("a request")
}

fn config() -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.database.url = DatabaseUrl::from("memory");
    // All inputs come from one address, and many of them break the rules.
    config.server.breaches_per_address_max = 0;
    (config.server.header_timeout_ms, config.server.body_timeout_ms) = (1_000, 1_000);
    config
}

fn agent() -> HostedAgent {
    let card = AgentCard {
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        ..echo::card()
    };
    HostedAgent::new("echo", card, Arc::new(echo::EchoAgent))
}

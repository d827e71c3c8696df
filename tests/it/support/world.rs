//! A whole runtime on a free port, in this process, for tests that speak to it over sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use a2ad::app::{HostedAgent, Runtime};
use a2ad::config::{Config, DatabaseUrl, Secret};
use a2ad::pb::{AgentCapabilities, AgentCard, AgentExtension};
use a2ad::shutdown::Shutdown;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::postgres;
use super::puppet::{self, Puppet};
use super::wire::{TestClient, Wire};
use crate::demo_agents::conformance_agent::{self, ConformanceAgent};
use crate::demo_agents::echo_agent::{self, EchoAgent};
use crate::sockets::soon;

/// The extension that the agent `strict` requires.
pub const EXTENSION: &str = "urn:example:required";

tokio::task_local! {
    static POSTGRES: ();
}

/// Runs a test whose scenarios keep their tasks in PostgreSQL, each in a database of its own, unless they choose.
pub async fn on_postgres<T>(test: impl Future<Output = T>) -> T {
    POSTGRES.scope((), test).await
}

/// What is to be started.
pub struct Scenario {
    config: Config,
    puppet: Puppet,
    more: Vec<HostedAgent>,
    dir: Option<TempDir>,
    postgres: Option<postgres::Database>,
}

impl Scenario {
    /// In memory, with the agents `echo` (the default), `conformance`, `puppet`, `plain` (no capabilities), `strict`
    /// (requires an extension) and `promising` (declares an extended card and has none).
    pub fn new() -> Self {
        let mut config = Config::default();
        config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let postgres = POSTGRES.try_with(|()| postgres::database()).ok();
        let url = postgres.as_ref().map_or("memory", postgres::Database::url);
        config.database.url = DatabaseUrl::from(url);
        if postgres.is_some() {
            config.secrets.key = Some(Secret::new("07".repeat(32)));
        }
        Self {
            config,
            puppet: Puppet::default(),
            more: Vec::new(),
            dir: None,
            postgres,
        }
    }

    /// Keeps the tasks in a file, with a key of its own for secrets.
    pub fn sqlite(mut self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("a2ad.db").display());
        self.config.database.url = DatabaseUrl::from(url.as_str());
        self.config.secrets.key = None;
        self.dir = Some(dir);
        self
    }

    /// Changes the configuration.
    pub fn set(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Hosts one more agent.
    pub fn hosting(mut self, agent: HostedAgent) -> Self {
        self.more.push(agent);
        self
    }

    pub async fn start(self) -> World {
        let Self {
            config,
            puppet,
            more,
            dir,
            postgres,
        } = self;
        let mut hosted = agents(puppet.clone());
        hosted.extend(more);
        let runtime = Runtime::start(config, hosted).await.unwrap();
        let (address, shutdown) = (runtime.address(), runtime.shutdown().clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        Shutdown::new().spawn_unstoppable("runtime", async move {
            runtime
                .serve_until(async {
                    let _ = stopped.await;
                })
                .await;
            let _ = finish.send(());
        });
        World {
            address,
            puppet,
            shutdown,
            stop: Some(stop),
            finished: Some(finished),
            dir,
            _postgres: postgres,
        }
    }
}

/// A runtime that serves.
pub struct World {
    pub address: SocketAddr,
    /// What the agent `puppet` hangs on.
    pub puppet: Puppet,
    pub shutdown: Shutdown,
    stop: Option<oneshot::Sender<()>>,
    finished: Option<oneshot::Receiver<()>>,
    dir: Option<TempDir>,
    _postgres: Option<postgres::Database>,
}

impl World {
    /// In memory, with nothing configured.
    pub async fn new() -> Self {
        Scenario::new().start().await
    }

    pub fn client(&self, wire: Wire) -> TestClient {
        TestClient::new(self.address, wire)
    }

    /// The file of a scenario with one.
    pub fn database(&self) -> PathBuf {
        self.dir
            .as_ref()
            .expect("a scenario with SQLite")
            .path()
            .join("a2ad.db")
    }

    /// Resolves the future that the runtime waits for: it begins to drain.
    pub fn stop(&mut self) {
        self.stop.take();
    }

    /// Waits until the runtime is at its end.
    pub async fn ended(&mut self) {
        let finished = self.finished.take().expect("nobody else waits for the end");
        soon("the end of the runtime", finished).await.unwrap();
    }
}

fn agents(puppet: Puppet) -> Vec<HostedAgent> {
    let echo = |name: &str, capabilities: AgentCapabilities| {
        let card = AgentCard {
            capabilities: Some(capabilities),
            ..echo_agent::card()
        };
        HostedAgent::new(name, card, Arc::new(EchoAgent))
    };
    let required = AgentExtension {
        uri: EXTENSION.to_owned(),
        required: true,
        ..AgentExtension::default()
    };
    let strict = AgentCapabilities {
        streaming: Some(true),
        extensions: vec![required],
        ..AgentCapabilities::default()
    };
    let promising = AgentCapabilities {
        extended_agent_card: Some(true),
        ..AgentCapabilities::default()
    };
    let conformance = HostedAgent {
        extended_card: Some(conformance_agent::extended_card()),
        ..HostedAgent::new(
            "conformance",
            conformance_agent::card(),
            Arc::new(ConformanceAgent::default()),
        )
    };
    vec![
        HostedAgent::new("echo", echo_agent::card(), Arc::new(EchoAgent)),
        conformance,
        HostedAgent::new("puppet", puppet::card(), Arc::new(puppet)),
        echo("plain", AgentCapabilities::default()),
        echo("strict", strict),
        echo("promising", promising),
    ]
}

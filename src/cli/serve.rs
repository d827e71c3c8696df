//! `a2ad serve`.

use std::time::Duration;

use a2ad::app::{HostedAgent, Runtime};
use a2ad::config::Loader;
use a2ad::telemetry;
use clap::Args;

use super::settings::Settings;
use super::{Outcome, demo, watchdog};

/// Serve agents by gRPC, JSON-RPC and HTTP+JSON on one port
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Host the example agents: echo, bench, counter and conformance
    #[arg(long)]
    demo: bool,
    /// Address and port to listen on [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where tasks are kept: memory, sqlite://PATH or postgres://... [default: sqlite://a2ad.db]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The agent that answers when a request names none [default: echo]
    #[arg(long, value_name = "NAME")]
    default_agent: Option<String>,
    /// Take webhooks on loopback; for development and tests
    #[arg(long)]
    allow_loopback_webhooks: bool,
    /// What the cards declare: full, none, or required-extension
    #[arg(long, value_name = "WHICH")]
    card_capabilities: Option<String>,
}

impl Serve {
    pub async fn run(self) -> Outcome {
        let mut loader = self.settings.loader();
        let flags = [
            ("server.listen", self.listen),
            ("database.url", self.database),
            ("default_agent", self.default_agent),
            ("card.capabilities", self.card_capabilities),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                loader = loader.set_text(key, value);
            }
        }
        if self.demo {
            loader = loader.set("demo", true);
        }
        if self.allow_loopback_webhooks {
            loader = loader.set("push.allow_loopback_webhooks", true);
        }
        serve(loader, |runtime, agent| {
            let greeting = greeting(runtime, agent);
            move || tell!("{greeting}")
        })
        .await
    }
}

/// Serves as the configuration says until a signal ends it. What `greeting` makes of the server and its default agent is
/// done as soon as they answer.
pub async fn serve<G: FnOnce()>(loader: Loader, greeting: impl FnOnce(&Runtime, &str) -> G) -> Outcome {
    let config = loader.load()?.config;
    telemetry::init(&config.log)?;
    let agents = if config.demo { demo::agents() } else { Vec::new() };
    let tenant = tenant(&config.default_agent, &agents);
    let drain = config
        .server
        .drain_delay_ms
        .saturating_add(config.server.drain_timeout_ms);
    let runtime = Runtime::start(config, agents).await?;
    let greet = greeting(&runtime, &tenant);
    let served = runtime.serve_until_signal();
    watchdog::start(Duration::from_millis(drain))?;
    greet();
    served.await;
    Ok(())
}

fn tenant(default: &Option<String>, agents: &[HostedAgent]) -> String {
    default
        .clone()
        .or_else(|| agents.first().map(|agent| agent.name.clone()))
        .unwrap_or_default()
}

/// Says where the server is, and three calls that work as they stand.
fn greeting(runtime: &Runtime, agent: &str) -> String {
    let (address, url) = (runtime.address(), runtime.base_url());
    let message = r#"{"message":{"messageId":"1","role":"ROLE_USER","parts":[{"text":"hello world"}]}}"#;
    let (plaintext, files) = if runtime.is_tls() {
        (
            "-cacert ca.pem -cert client.pem -key client.key",
            "--cacert ca.pem --cert client.pem --key client.key ",
        )
    } else {
        ("-plaintext", "")
    };
    let ours = if runtime.is_tls() {
        " --ca ca.pem --cert client.pem --key client.key"
    } else {
        ""
    };
    format!(
        "ready {address}\n\nThe agent {agent} answers; three calls to try:\n\n  \
         grpcurl {plaintext} -d '{message}' {address} lf.a2a.v1.A2AService/SendMessage\n\n  \
         curl {files}{url}/message:send -H 'Content-Type: application/json' -H 'A2A-Version: 1.0' -d '{message}'\n\n  \
         a2ad send -a {url} 'hello world'{ours}\n"
    )
}

//! Agents as the client library sees them: whatever layers a test wants around a server of ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater};
use a2ad::app::HostedAgent;
use a2ad::client::layers::LayerSettings;
use a2ad::client::transport::transport;
use a2ad::client::{ClientSettings, Connections, Instance, Target, fetch_card};
use a2ad::context::Binding;
use a2ad::egress::EgressPolicy;
use a2ad::pb::{AgentCapabilities, AgentCard, Artifact, TaskState};

use super::messages::text;
use super::random::Random;

/// The bindings by which the client is tested.
pub const BINDINGS: [Binding; 3] = [Binding::Grpc, Binding::JsonRpc, Binding::HttpJson];

/// An agent at an address, with its card.
pub async fn instance(address: SocketAddr, binding: Binding, agent: &str) -> Instance {
    let server = address.to_string().parse().unwrap();
    let card = fetch_card(&server, None, Some(agent)).await.unwrap();
    let target = Target {
        card: Some(Arc::new(card)),
        ..target(address, binding, agent)
    };
    connect(target).await
}

/// What calls to an agent need; without its card.
pub fn target(address: SocketAddr, binding: Binding, agent: &str) -> Target {
    Target {
        binding,
        url: format!("http://{address}").parse().unwrap(),
        tenant: agent.to_owned(),
        version: "1.0".to_owned(),
        card: None,
    }
}

/// A target with connections of its own.
pub async fn connect(target: Target) -> Instance {
    let settings = ClientSettings::default();
    let connections = Connections::open(&settings, None, EgressPolicy::unrestricted()).await;
    Instance {
        transport: transport(&target, &connections.unwrap(), &settings),
        target: Arc::new(target),
    }
}

/// Layers that lose no time between attempts, and may make many.
pub fn eager() -> LayerSettings {
    let mut settings = LayerSettings::default();
    settings.retry.attempts_max = 12;
    settings.retry.backoff_min = Duration::from_millis(1);
    settings.retry.backoff_max = Duration::from_millis(5);
    settings.retry.budget_per_second = 10_000;
    settings.breaker.failures_max = 1_000_000;
    settings.breaker.calls_min = u32::MAX;
    settings.resume.attempts_max = 12;
    settings.resume.backoff_min = Duration::from_millis(1);
    settings.resume.backoff_max = Duration::from_millis(5);
    settings
}

/// Writes a run that follows from a seed, by the order `SEED COUNT PAUSE_US`: statuses with and without a message, and
/// artifacts whole and in chunks; at last COMPLETED.
pub struct Writer;

impl Writer {
    pub fn hosted() -> HostedAgent {
        let card = AgentCard {
            name: "Writer".to_owned(),
            description: "Writes what a seed says".to_owned(),
            version: "1".to_owned(),
            capabilities: Some(AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            }),
            default_input_modes: vec!["text/plain".to_owned()],
            default_output_modes: vec!["text/plain".to_owned()],
            ..AgentCard::default()
        };
        HostedAgent::new("writer", card, Arc::new(Self))
    }
}

#[async_trait::async_trait]
impl AgentExecutor for Writer {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        let order = request.text();
        let numbers: Vec<u64> = order.split(' ').map(|word| word.parse().unwrap()).collect();
        let mut random = Random::new(numbers[0]);
        let mut known = [false; 3];
        for number in 0..numbers[1] {
            match random.below(4) {
                0 => updater.working().await?,
                1 => {
                    let said = updater.message(&format!("so far {number}"));
                    updater.status(TaskState::Working, Some(said)).await?;
                }
                _ => {
                    let which = random.below(3) as usize;
                    let artifact = Artifact {
                        artifact_id: format!("artifact-{which}"),
                        parts: vec![text(&format!("part {number}")); 1 + random.below(2) as usize],
                        ..Artifact::default()
                    };
                    let appends = std::mem::replace(&mut known[which], true) && random.chance(80);
                    updater.chunk(artifact, appends, random.chance(10)).await?;
                }
            }
            if numbers[2] > 0 {
                tokio::time::sleep(Duration::from_micros(numbers[2])).await;
            }
        }
        updater.complete().await?;
        Ok(())
    }
}

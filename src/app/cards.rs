//! Cards as they are served: the agent's own words, the operator's changes, and what only the runtime knows.

use std::time::Duration;

use crate::access::Names;
use crate::agent::{Agent, AgentOptions, Idempotency};
use crate::app::{
    DELEGATION_EXTENSION, HostedAgent, IDEMPOTENCY_EXTENSION, PUSH_EVENTS_EXTENSION, RESUME_EXTENSION,
    StartError,
};
use crate::auth::{self, AuthSettings};
use crate::config::{self, CardCapabilities, Config};
use crate::context::Binding;
use crate::pb::{AgentCapabilities, AgentCard, AgentExtension, AgentInterface, AgentProvider};
use crate::service::VERSION;

/// The extension that conformance kits require of a server that requires one.
const REQUIRED_EXTENSION: &str = "urn:a2a:tck:required-extension";

/// Makes agents of what is to be hosted; `base` is the public URL without a slash at its end.
pub(super) fn agents(
    hosted: Vec<HostedAgent>,
    config: &Config,
    base: &str,
    security: &AuthSettings,
) -> Result<Vec<Agent>, StartError> {
    let names: Vec<&str> = hosted.iter().map(|agent| agent.name.as_str()).collect();
    if let Some(unknown) = config.agents.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(StartError::UnknownAgent(unknown.clone(), names.join(", ")));
    }
    let default = config
        .default_agent
        .clone()
        .or_else(|| hosted.first().map(|agent| agent.name.clone()));
    let mut agents = Vec::with_capacity(hosted.len());
    for agent in hosted {
        let tenant = if default.as_deref() == Some(&agent.name) {
            ""
        } else {
            &agent.name
        };
        let overrides = config.agents.get(&agent.name).cloned().unwrap_or_default();
        let complete = |card| secured(complete(card, config, &overrides, base, tenant), security);
        let card = complete(agent.card);
        let extended_card = agent.extended_card.map(complete);
        let organisations = &overrides.organisations;
        let options = AgentOptions {
            organisations: (!organisations.is_empty()).then(|| Names::new(organisations)),
            close_on_interrupt: overrides.close_on_interrupt,
            idempotency: match overrides.idempotency {
                config::Idempotency::Key => Idempotency::Key,
                config::Idempotency::MessageId => Idempotency::MessageId,
            },
            extended_card,
            ..limits(config, &overrides)
        };
        agents.push(Agent::new(&agent.name, card, agent.executor, options)?);
    }
    Ok(agents)
}

/// How the agent runs: what is said for it alone, else what is said for all.
fn limits(config: &Config, overrides: &config::AgentConfig) -> AgentOptions {
    let execution = &config.execution;
    let limited = |ms: u64| (ms > 0).then(|| Duration::from_millis(ms));
    AgentOptions {
        executions_max: overrides.executions_max.unwrap_or(config.limits.executions_max),
        executions_per_owner_max: match overrides
            .executions_per_owner_max
            .or(execution.executions_per_owner_max)
        {
            Some(0) => Some(usize::MAX),
            limit => limit,
        },
        queue_max: overrides.queue_max.unwrap_or(execution.queue_max),
        queue_per_owner_max: execution.queue_per_owner_max,
        attempts_max: overrides.attempts_max.unwrap_or(execution.attempts_max),
        task_timeout: limited(overrides.task_timeout_ms.unwrap_or(execution.task_timeout_ms)),
        interrupted_ttl: limited(
            overrides
                .interrupted_ttl_ms
                .unwrap_or(execution.interrupted_ttl_ms),
        ),
        ..AgentOptions::default()
    }
}

/// What the card says about credentials is what is asked for, whatever the agent's author wrote.
fn secured(mut card: AgentCard, security: &AuthSettings) -> AgentCard {
    card.security_schemes = auth::schemes(security);
    card.security_requirements = auth::requirements(security);
    card
}

fn complete(
    mut card: AgentCard,
    config: &Config,
    overrides: &config::AgentConfig,
    base: &str,
    tenant: &str,
) -> AgentCard {
    card.supported_interfaces = interfaces(base, tenant);
    override_words(&mut card, overrides);
    let capabilities = card.capabilities.get_or_insert_default();
    override_capabilities(capabilities, overrides);
    apply_variant(capabilities, config.card.capabilities);
    card
}

/// gRPC first; its url is a bare host and port (specification 4.4.6). One URL serves all agents, the tenant tells them
/// apart: clients of the HTTP+JSON binding put it into the path themselves.
fn interfaces(base: &str, tenant: &str) -> Vec<AgentInterface> {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host_port = authority.split('/').next().unwrap_or(authority);
    let default_port = if base.starts_with("https://") { 443 } else { 80 };
    let has_port = host_port
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let grpc = if has_port {
        host_port.to_owned()
    } else {
        format!("{host_port}:{default_port}")
    };
    let interface = |binding: Binding, url: String| AgentInterface {
        url,
        protocol_binding: binding.as_str().to_owned(),
        tenant: tenant.to_owned(),
        protocol_version: VERSION.to_owned(),
    };
    vec![
        interface(Binding::Grpc, grpc),
        interface(Binding::JsonRpc, format!("{base}/")),
        interface(Binding::HttpJson, base.to_owned()),
    ]
}

fn override_words(card: &mut AgentCard, overrides: &config::AgentConfig) {
    let config::AgentConfig {
        title,
        description,
        version,
        documentation_url,
        icon_url,
        provider,
        ..
    } = overrides;
    for (said, field) in [
        (title, &mut card.name),
        (description, &mut card.description),
        (version, &mut card.version),
    ] {
        if let Some(said) = said {
            field.clone_from(said);
        }
    }
    if documentation_url.is_some() {
        card.documentation_url.clone_from(documentation_url);
    }
    if icon_url.is_some() {
        card.icon_url.clone_from(icon_url);
    }
    if let Some(provider) = provider {
        let (url, organization) = (provider.url.clone(), provider.organization.clone());
        card.provider = Some(AgentProvider { url, organization });
    }
}

fn override_capabilities(capabilities: &mut AgentCapabilities, overrides: &config::AgentConfig) {
    capabilities.streaming = overrides.streaming.or(capabilities.streaming);
    capabilities.push_notifications = overrides.push_notifications.or(capabilities.push_notifications);
    capabilities.extended_agent_card = overrides.extended_card.or(capabilities.extended_agent_card);
}

fn apply_variant(capabilities: &mut AgentCapabilities, variant: CardCapabilities) {
    let extension = |uri: &str, description: &str, required| AgentExtension {
        uri: uri.to_owned(),
        description: description.to_owned(),
        required,
        params: None,
    };
    if variant == CardCapabilities::None {
        *capabilities = AgentCapabilities {
            streaming: Some(false),
            push_notifications: Some(false),
            extended_agent_card: Some(false),
            extensions: Vec::new(),
        };
        return;
    }
    capabilities.extensions.push(extension(
        IDEMPOTENCY_EXTENSION,
        "Sends that name the same idempotency-key (header, gRPC or request metadata) give the same task for a day",
        false,
    ));
    capabilities.extensions.push(extension(
        RESUME_EXTENSION,
        "Streams resume behind a generation: SSE id and Last-Event-ID, gRPC metadata a2ad-last-generation",
        false,
    ));
    capabilities.extensions.push(extension(
        DELEGATION_EXTENSION,
        "Calls that agents hand on say a2ad-hops and a2ad-budget (header or gRPC metadata), and end at a limit of both",
        false,
    ));
    if capabilities.push_notifications == Some(true) {
        capabilities.extensions.push(extension(
            PUSH_EVENTS_EXTENSION,
            "The fragment of a webhook's URL chooses events: #a2ad-push-events=task,status,artifact,message,terminal",
            false,
        ));
    }
    if variant == CardCapabilities::RequiredExtension {
        capabilities
            .extensions
            .push(extension(REQUIRED_EXTENSION, "Required of every caller", true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grpc_interface_is_a_bare_host_and_port() {
        for (base, expected) in [
            ("http://127.0.0.1:8420", "127.0.0.1:8420"),
            ("https://agents.example.com", "agents.example.com:443"),
            ("https://agents.example.com/a2a", "agents.example.com:443"),
            ("http://[::1]:8420", "[::1]:8420"),
            ("http://[::1]", "[::1]:80"),
        ] {
            let interfaces = interfaces(base, "");
            assert_eq!(interfaces[0].url, expected, "{base}");
            assert!(!interfaces[2].url.ends_with('/'));
        }
    }
}

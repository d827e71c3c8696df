//! From the one configuration to each room's settings.

mod listener;
mod push;
mod storage;

use std::time::Duration;

use super::quotas;
use super::signing::SigningKeys;
use crate::agent::DelegationLimits;
use crate::api::ApiSettings;
use crate::config::Config;
use crate::egress::{EgressPolicy, EgressSettings};
use crate::execution::ExecutionSettings;
use crate::pb::inspect::InspectLimits;
use crate::service::ServiceSettings;
use crate::service::push_admin::PushAdminSettings;

pub(in crate::app) use listener::{server, tls};
pub(in crate::app) use push::push;
pub(in crate::app) use storage::audit;
pub use storage::{database, keys};

pub(in crate::app) fn execution(config: &Config) -> ExecutionSettings {
    let limits = &config.limits;
    ExecutionSettings {
        updates_queue_max: limits.updates_queue_max,
        inbox_messages_max: limits.inbox_messages_max,
        ring_events_max: limits.ring_events_max,
        ring_bytes_max: limits.ring_bytes_max,
        snapshot_every_events: limits.snapshot_every_events as usize,
        cancel_timeout: Duration::from_millis(limits.cancel_timeout_ms),
        inspect: inspect(config),
        artifacts_max: limits.artifacts_max,
        task_bytes_max: limits.task_bytes_max,
        lease: Duration::from_millis(config.execution.lease_ms),
        poll_max: Duration::from_millis(config.execution.poll_ms_max),
        delegation: DelegationLimits {
            hops_max: limits.delegation_hops_max,
            budget: limits.delegation_budget,
        },
    }
}

fn inspect(config: &Config) -> InspectLimits {
    InspectLimits {
        depth_max: config.limits.depth_max,
        nodes_max: config.limits.nodes_max,
        parts_max: config.limits.parts_max,
    }
}

pub(in crate::app) fn service(config: &Config, keys: SigningKeys) -> ServiceSettings {
    let limits = &config.limits;
    let wait = limits.blocking_wait_ms_max;
    ServiceSettings {
        inspect: inspect(config),
        part_bytes_max: limits.part_bytes_max,
        page_size_default: limits.page_size_default,
        page_size_max: limits.page_size_max,
        list_bytes_max: limits.list_bytes_max,
        list_count_max: limits.list_count_max,
        history_length_max: limits.history_length_max,
        streams_per_caller_max: limits.streams_per_caller_max,
        push_configs_per_task_max: limits.push_configs_per_task_max,
        changes_max: config.database.commit_batch_max,
        id_bytes_max: limits.id_bytes_max,
        idempotency_ttl: Duration::from_millis(limits.idempotency_ttl_ms),
        blocking_wait_max: (wait > 0).then(|| Duration::from_millis(wait)),
        strict_version: config.server.strict_version,
        webhooks: webhooks(config),
        page_token_key: config.server.page_token_key_bytes().map(|key| *key.expose()),
        quotas: quotas::of(config),
        delegation_hops_max: limits.delegation_hops_max,
        signing_key: keys.cards,
        push_signing_key: keys.push,
        published_keys: keys.published,
    }
}

pub(in crate::app) fn push_admin(config: &Config) -> PushAdminSettings {
    PushAdminSettings {
        inspect: inspect(config),
        page_size_max: config.admin.page_size_max,
    }
}

/// Where webhooks may be. Validation has seen to it that networks are networks.
pub(in crate::app) fn webhooks(config: &Config) -> EgressPolicy {
    let networks = &config.push.allowed_networks;
    EgressPolicy {
        allow_loopback: config.push.allow_loopback_webhooks,
        allowed_networks: networks.iter().filter_map(|text| text.parse().ok()).collect(),
        ..EgressPolicy::default()
    }
}

/// How `[egress]` of a configuration says that requests go out.
pub fn egress(config: &Config) -> EgressSettings {
    let egress = &config.egress;
    EgressSettings {
        ca_file: egress.ca_file.clone(),
        connect_timeout: Duration::from_millis(egress.connect_timeout_ms),
        timeout: Duration::from_millis(egress.timeout_ms),
        response_bytes_max: egress.response_bytes_max,
        addresses_max: egress.addresses_max,
        connections_max: egress.connections_max,
        idle_per_host_max: egress.idle_per_host_max,
        idle_timeout: Duration::from_millis(egress.idle_timeout_ms),
    }
}

pub(in crate::app) fn api(config: &Config) -> ApiSettings {
    ApiSettings {
        body_bytes_max: config.server.body_bytes_max,
        body_timeout: Duration::from_millis(config.server.body_timeout_ms),
        body_bytes_per_s_min: config.server.body_bytes_per_s_min,
        request_timeout_max: Duration::from_millis(config.server.request_timeout_ms_max),
        in_flight_max: config.server.in_flight_max,
        batch_requests_max: config.limits.batch_requests_max,
        batch_concurrency_max: config.limits.batch_concurrency_max,
        sse_keepalive: Duration::from_millis(config.limits.sse_keepalive_ms),
        id_bytes_max: config.limits.id_bytes_max,
        credential_interval: Duration::from_millis(config.auth.credential_interval_ms),
        card_max_age_s: config.card.max_age_s,
        cors_origins: config.server.cors_origins.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_egress_and_webhooks_arrives() {
        let mut config = Config::default();
        let keys = &mut config.egress;
        keys.ca_file = Some("1".into());
        (keys.connect_timeout_ms, keys.timeout_ms) = (2, 3);
        (keys.response_bytes_max, keys.addresses_max) = (4, 5);
        (keys.connections_max, keys.idle_per_host_max) = (6, 7);
        keys.idle_timeout_ms = 8;
        let expected = EgressSettings {
            ca_file: Some("1".into()),
            connect_timeout: Duration::from_millis(2),
            timeout: Duration::from_millis(3),
            response_bytes_max: 4,
            addresses_max: 5,
            connections_max: 6,
            idle_per_host_max: 7,
            idle_timeout: Duration::from_millis(8),
        };
        assert_eq!(egress(&config), expected);
        assert_eq!(egress(&Config::default()), EgressSettings::default());

        config.admin.page_size_max = 9;
        assert_eq!(push_admin(&config).page_size_max, 9);

        config.push.allow_loopback_webhooks = true;
        config.push.allowed_networks = vec!["10.1.0.0/16".to_owned()];
        let policy = service(&config, SigningKeys::default()).webhooks;
        assert!(policy.allow_loopback);
        assert_eq!(policy.allowed_networks, ["10.1.0.0/16".parse().unwrap()]);
    }
}

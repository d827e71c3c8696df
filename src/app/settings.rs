//! From the one configuration to each room's settings.

use std::time::Duration;

use crate::api::ApiSettings;
use crate::audit::{AuditSettings, Output};
use crate::config::{self, Config};
use crate::execution::ExecutionSettings;
use crate::pb::inspect::InspectLimits;
use crate::repository::sea_orm::DatabaseSettings;
use crate::server::ServerSettings;
use crate::service::ServiceSettings;
use crate::tls::{Authorities, ClientCertificates, ClientNames, TlsSettings};

pub(super) fn execution(config: &Config) -> ExecutionSettings {
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
    }
}

fn inspect(config: &Config) -> InspectLimits {
    InspectLimits {
        depth_max: config.limits.depth_max,
        nodes_max: config.limits.nodes_max,
        parts_max: config.limits.parts_max,
    }
}

pub(super) fn service(config: &Config) -> ServiceSettings {
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
        id_bytes_max: limits.id_bytes_max,
        idempotency_ttl: Duration::from_millis(limits.idempotency_ttl_ms),
        blocking_wait_max: (wait > 0).then(|| Duration::from_millis(wait)),
        strict_version: config.server.strict_version,
        allow_loopback_webhooks: config.push.allow_loopback_webhooks,
        page_token_key: config.server.page_token_key_bytes().map(|key| *key.expose()),
    }
}

pub(super) fn api(config: &Config) -> ApiSettings {
    ApiSettings {
        body_bytes_max: config.server.body_bytes_max,
        body_timeout: Duration::from_millis(config.server.body_timeout_ms),
        request_timeout_max: Duration::from_millis(config.server.request_timeout_ms_max),
        in_flight_max: config.server.in_flight_max,
        batch_requests_max: config.limits.batch_requests_max,
        batch_concurrency_max: config.limits.batch_concurrency_max,
        sse_keepalive: Duration::from_millis(config.limits.sse_keepalive_ms),
        id_bytes_max: config.limits.id_bytes_max,
        card_max_age_s: config.card.max_age_s,
        cors_origins: config.server.cors_origins.clone(),
    }
}

pub(super) fn audit(config: &Config) -> AuditSettings {
    let audit = &config.audit;
    AuditSettings {
        output: audit.file.as_ref().map(|file| match file.as_str() {
            "stdout" => Output::Stdout,
            path => Output::File(path.into()),
        }),
        is_required: audit.required,
        queue_max: audit.queue_max,
        batch_max: audit.batch_max,
        sync_interval: Duration::from_millis(audit.sync_interval_ms),
        retention: (audit.retention_s > 0).then(|| Duration::from_secs(audit.retention_s)),
    }
}

/// How `[database]` of a configuration says that its database is used.
pub fn database(config: &Config) -> DatabaseSettings {
    let database = &config.database;
    DatabaseSettings {
        readers: database.readers,
        committers: database.committers,
        commit_batch_max: database.commit_batch_max,
        commit_queue_max: database.commit_queue_max,
        read_timeout: Duration::from_millis(database.read_timeout_ms),
        wal_bytes_max: database.wal_bytes_max as u64,
        snapshot_cache_bytes: database.snapshot_cache_bytes as u64,
        commit_timeout: Duration::from_millis(database.commit_timeout_ms),
        connect_timeout: Duration::from_millis(database.connect_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
        lock_timeout: Duration::from_millis(database.lock_timeout_ms),
        idle_transaction_timeout: Duration::from_millis(database.idle_transaction_timeout_ms),
        application_name: database.application_name.clone(),
    }
}

pub(super) fn server(config: &Config) -> ServerSettings {
    let server = &config.server;
    ServerSettings {
        connections_max: u32::try_from(server.connections_max).unwrap_or(u32::MAX),
        connections_per_address_max: u32::try_from(server.connections_per_address_max).unwrap_or(u32::MAX),
        handshakes_max: u32::try_from(server.handshakes_pending_max).unwrap_or(u32::MAX),
        handshake_timeout_ms: server.handshake_timeout_ms,
        header_timeout_ms: server.header_timeout_ms,
        write_timeout_ms: server.write_timeout_ms,
        streams_max: server.streams_per_connection_max,
        ping_interval_ms: server.keepalive_interval_ms,
        ping_timeout_ms: server.keepalive_timeout_ms,
        connection_age_ms: server.connection_age_max_ms,
        ..ServerSettings::default()
    }
}

/// The TLS settings; `None` in the clear. Validation has seen to it that certificate and key come together.
pub(super) fn tls(config: &Config) -> Option<TlsSettings> {
    let tls = &config.tls;
    let (cert_file, key_file) = (tls.cert_file.clone()?, tls.key_file.clone()?);
    Some(TlsSettings {
        client_ca_file: tls.client_ca_file.clone(),
        client_certificates: match tls.client_certificates {
            config::ClientCertificates::Required => ClientCertificates::Required,
            config::ClientCertificates::Optional => ClientCertificates::Optional,
            config::ClientCertificates::Off => ClientCertificates::Off,
        },
        client_names: match tls.client_names {
            config::ClientNames::SpiffeOrDns => ClientNames::SpiffeOrDns,
            config::ClientNames::Spiffe => ClientNames::Spiffe,
            config::ClientNames::Dns => ClientNames::Dns,
        },
        trust_domains: tls
            .trust_domains
            .iter()
            .map(|(name, domain)| (name.clone(), authorities(domain)))
            .collect(),
        crl_files: tls.crl_files.clone(),
        allow_tls12: tls.allow_tls12,
        reload_interval_ms: tls.reload_interval_ms,
        ..TlsSettings::server_only(cert_file, key_file)
    })
}

/// The authorities of a trust domain that has its own.
fn authorities(domain: &config::TrustDomain) -> Option<Authorities> {
    Some(Authorities {
        ca_file: domain.ca_file.clone()?,
        crl_files: domain.crl_files.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_database_arrives() {
        let mut config = Config::default();
        let keys = &mut config.database;
        (keys.readers, keys.committers) = (11, 12);
        (keys.commit_batch_max, keys.commit_queue_max) = (13, 14);
        (keys.read_timeout_ms, keys.commit_timeout_ms) = (15, 16);
        (keys.connect_timeout_ms, keys.statement_timeout_ms) = (17, 18);
        (keys.lock_timeout_ms, keys.idle_transaction_timeout_ms) = (19, 20);
        keys.application_name = "21".to_owned();
        let ms = Duration::from_millis;
        let settings = database(&config);
        assert_eq!((settings.readers, settings.committers), (11, 12));
        assert_eq!((settings.commit_batch_max, settings.commit_queue_max), (13, 14));
        assert_eq!((settings.read_timeout, settings.commit_timeout), (ms(15), ms(16)));
        assert_eq!(
            (settings.connect_timeout, settings.statement_timeout),
            (ms(17), ms(18))
        );
        assert_eq!(
            (settings.lock_timeout, settings.idle_transaction_timeout),
            (ms(19), ms(20))
        );
        assert_eq!(settings.application_name, "21");
    }

    #[test]
    fn every_key_of_audit_arrives() {
        let mut config = Config::default();
        let keys = &mut config.audit;
        (keys.file, keys.required) = (Some("1".to_owned()), false);
        (keys.queue_max, keys.batch_max) = (2, 3);
        (keys.sync_interval_ms, keys.retention_s) = (4, 5);
        let settings = audit(&config);
        assert_eq!(settings.output, Some(Output::File("1".into())));
        assert!(!settings.is_required);
        assert_eq!((settings.queue_max, settings.batch_max), (2, 3));
        assert_eq!(settings.sync_interval, Duration::from_millis(4));
        assert_eq!(settings.retention, Some(Duration::from_secs(5)));
        (config.audit.file, config.audit.retention_s) = (Some("stdout".to_owned()), 0);
        let settings = audit(&config);
        assert_eq!(
            (settings.output, settings.retention),
            (Some(Output::Stdout), None)
        );
    }

    #[test]
    fn every_key_of_tls_arrives() {
        let mut config = Config::default();
        let keys = &mut config.tls;
        (keys.cert_file, keys.key_file) = (Some("1".into()), Some("2".into()));
        (keys.client_ca_file, keys.crl_files) = (Some("3".into()), vec!["4".into()]);
        keys.client_certificates = config::ClientCertificates::Optional;
        keys.client_names = config::ClientNames::Spiffe;
        (keys.allow_tls12, keys.reload_interval_ms) = (true, 5);
        let own = config::TrustDomain {
            ca_file: Some("6".into()),
            crl_files: vec!["7".into()],
        };
        keys.trust_domains = [("a".to_owned(), own), ("b".to_owned(), Default::default())].into();
        let expected = TlsSettings {
            cert_file: "1".into(),
            key_file: "2".into(),
            client_ca_file: Some("3".into()),
            client_certificates: ClientCertificates::Optional,
            client_names: ClientNames::Spiffe,
            trust_domains: [
                (
                    "a".to_owned(),
                    Some(Authorities {
                        ca_file: "6".into(),
                        crl_files: vec!["7".into()],
                    }),
                ),
                ("b".to_owned(), None),
            ]
            .into(),
            crl_files: vec!["4".into()],
            allow_tls12: true,
            reload_interval_ms: 5,
        };
        assert_eq!(tls(&config), Some(expected));
    }
}

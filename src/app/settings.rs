//! From the one configuration to each room's settings.

use std::sync::Arc;
use std::time::Duration;

use super::quotas;
use crate::agent::DelegationLimits;
use crate::api::ApiSettings;
use crate::audit::{AuditSettings, Output};
use crate::config::{self, Backend, Config};
use crate::egress::{EgressPolicy, EgressSettings};
use crate::execution::ExecutionSettings;
use crate::pb::inspect::InspectLimits;
use crate::repository::sea_orm::DatabaseSettings;
use crate::secrets::{self, KeySource, Keyring};
use crate::server::{ServerSettings, TrustedProxies};
use crate::service::ServiceSettings;
use crate::signature::SigningKey;
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

pub(super) fn service(config: &Config, signing_key: Option<Arc<SigningKey>>) -> ServiceSettings {
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
        webhooks: webhooks(config),
        page_token_key: config.server.page_token_key_bytes().map(|key| *key.expose()),
        quotas: quotas::of(config),
        delegation_hops_max: limits.delegation_hops_max,
        signing_key,
    }
}

/// Where webhooks may be. Validation has seen to it that networks are networks.
fn webhooks(config: &Config) -> EgressPolicy {
    let networks = &config.push.allowed_networks;
    EgressPolicy {
        allow_loopback: config.push.allow_loopback_webhooks,
        allowed_networks: networks.iter().filter_map(|text| text.parse().ok()).collect(),
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

pub(super) fn api(config: &Config) -> ApiSettings {
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

/// Where the keys of a configuration come from: `[secrets]`; else the file beside a SQLite database, a key that ends
/// with the process for tasks in memory, and none for PostgreSQL, whose servers must share one.
///
/// # Errors
/// When there is a key file beside the database that can't be used.
pub fn keys(config: &Config) -> Result<KeySource, secrets::Error> {
    let backend = config.database.backend();
    let Some(key) = config.secrets.key_bytes() else {
        return match backend {
            Ok(Backend::Sqlite(path)) => Ok(KeySource::beside(&path)),
            Ok(Backend::Memory) => KeySource::random(),
            _ => Ok(KeySource::none()),
        };
    };
    let previous = config.secrets.previous_key_bytes().unwrap_or_default();
    let previous: Vec<[u8; 32]> = previous.iter().map(|key| *key.expose()).collect();
    match backend {
        Ok(Backend::Sqlite(path)) => KeySource::configured_beside(key.expose(), previous, &path),
        _ => Ok(KeySource::of(Keyring::new(key.expose(), &previous))),
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
///
/// # Errors
/// As for [`keys`].
pub fn database(config: &Config) -> Result<DatabaseSettings, secrets::Error> {
    let database = &config.database;
    Ok(DatabaseSettings {
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
        keys: keys(config)?,
    })
}

pub(super) fn server(config: &Config) -> ServerSettings {
    let server = &config.server;
    ServerSettings {
        connections_max: u32::try_from(server.connections_max).unwrap_or(u32::MAX),
        connections_per_address_max: u32::try_from(server.connections_per_address_max).unwrap_or(u32::MAX),
        breaches_per_address_max: server.breaches_per_address_max,
        breaching_addresses_max: server.breaching_addresses_max,
        trusted_proxies: Arc::new(TrustedProxies {
            networks: server.trusted_networks(),
            header: server.proxy_header,
        }),
        handshakes_max: u32::try_from(server.handshakes_pending_max).unwrap_or(u32::MAX),
        handshakes_per_address_max: u32::try_from(server.handshakes_per_address_max).unwrap_or(u32::MAX),
        handshake_timeout_ms: server.handshake_timeout_ms,
        header_timeout_ms: server.header_timeout_ms,
        header_bytes_max: server.header_bytes_max,
        stream_window_bytes: server.stream_window_bytes,
        connection_window_bytes: server.connection_window_bytes,
        control_frames_per_s_max: server.control_frames_per_s_max,
        write_timeout_ms: server.write_timeout_ms,
        streams_max: server.streams_per_connection_max,
        ping_interval_ms: server.keepalive_interval_ms,
        ping_timeout_ms: server.keepalive_timeout_ms,
        idle_timeout_ms: server.idle_timeout_ms,
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
        let settings = database(&config).unwrap();
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
    fn keys_come_from_the_configuration_or_from_the_place_of_the_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", folder.path().join("a.db").display());
        let ids = |config: &Config| -> Option<Vec<secrets::KeyId>> {
            let keys = keys(config).unwrap().known().unwrap();
            keys.map(|keyring| keyring.ids().collect())
        };
        let mut config = Config::default();
        for (url, count) in [
            ("memory", Some(1)),
            (file.as_str(), None),
            ("postgres://db/a", None),
        ] {
            config.database.url = url.into();
            assert_eq!(ids(&config).map(|ids| ids.len()), count, "{url}");
        }
        let secret = |byte: &str| Some(config::Secret::new(byte.repeat(32)));
        (config.secrets.key, config.secrets.previous_keys) = (secret("01"), secret("02"));
        let expected: Vec<_> = Keyring::new(&[1; 32], &[[2; 32]]).ids().collect();
        for url in ["memory", file.as_str(), "postgres://db/a"] {
            config.database.url = url.into();
            assert_eq!(ids(&config).as_ref(), Some(&expected), "{url}");
        }
    }

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

        config.push.allow_loopback_webhooks = true;
        config.push.allowed_networks = vec!["10.1.0.0/16".to_owned()];
        let policy = service(&config, None).webhooks;
        assert!(policy.allow_loopback);
        assert_eq!(policy.allowed_networks, ["10.1.0.0/16".parse().unwrap()]);
    }

    #[test]
    fn every_limit_of_connections_arrives() {
        let mut config = Config::default();
        let keys = &mut config.server;
        (keys.connections_max, keys.connections_per_address_max) = (11, 12);
        (keys.breaches_per_address_max, keys.breaching_addresses_max) = (13, 14);
        (keys.trusted_proxies, keys.proxy_header) =
            (vec!["10.0.0.0/8".to_owned()], config::ProxyHeader::Forwarded);
        (keys.handshakes_pending_max, keys.handshake_timeout_ms) = (15, 16);
        keys.handshakes_per_address_max = 28;
        (keys.header_timeout_ms, keys.header_bytes_max) = (17, 18);
        (keys.streams_per_connection_max, keys.stream_window_bytes) = (19, 20);
        (keys.connection_window_bytes, keys.control_frames_per_s_max) = (21, 22);
        (keys.write_timeout_ms, keys.idle_timeout_ms) = (23, 24);
        (keys.keepalive_interval_ms, keys.keepalive_timeout_ms) = (25, 26);
        keys.connection_age_max_ms = 27;
        let expected = ServerSettings {
            connections_max: 11,
            connections_per_address_max: 12,
            breaches_per_address_max: 13,
            breaching_addresses_max: 14,
            trusted_proxies: Arc::new(TrustedProxies {
                networks: vec!["10.0.0.0/8".parse().unwrap()],
                header: config::ProxyHeader::Forwarded,
            }),
            handshakes_max: 15,
            handshakes_per_address_max: 28,
            handshake_timeout_ms: 16,
            header_timeout_ms: 17,
            header_bytes_max: 18,
            streams_max: 19,
            stream_window_bytes: 20,
            connection_window_bytes: 21,
            control_frames_per_s_max: 22,
            write_timeout_ms: 23,
            idle_timeout_ms: 24,
            ping_interval_ms: 25,
            ping_timeout_ms: 26,
            connection_age_ms: 27,
            ..ServerSettings::default()
        };
        assert_eq!(server(&config), expected);
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

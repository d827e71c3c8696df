//! The socket: what one connection may use, and who may connect.

use std::sync::Arc;

use crate::config::{self, Config};
use crate::server::{ServerSettings, TrustedProxies};
use crate::tls::{Authorities, ClientCertificates, ClientNames, TlsSettings};

pub(in crate::app) fn server(config: &Config) -> ServerSettings {
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
pub(in crate::app) fn tls(config: &Config) -> Option<TlsSettings> {
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

//! TLS and connections of one client: with its certificate and without.

use std::sync::Arc;

use rustls::ClientConfig;

use super::connections::Network;
use super::wire::Tap;
use super::{ClientSettings, Connections};
use crate::egress::EgressPolicy;
use crate::tls::{self, ClientTls};

/// TLS with the client's certificate and without; the same where there is none.
#[derive(Clone)]
pub(super) struct Configs {
    pub(super) with_certificate: ClientConfig,
    pub(super) without: ClientConfig,
}

impl Configs {
    /// Reads the files, or the authorities of the system. An insecure client takes any certificate of a server.
    pub(super) async fn read(files: Option<&ClientTls>, is_insecure: bool) -> Result<Self, tls::Error> {
        let with_certificate = match files {
            Some(files) => files.rustls(&[]).await?,
            None => tls::web_client(None, &[]).await?,
        };
        let without = match files {
            Some(files) if files.cert_file.is_some() => {
                let anonymous = ClientTls {
                    ca_file: files.ca_file.clone(),
                    cert_file: None,
                    key_file: None,
                };
                anonymous.rustls(&[]).await?
            }
            _ => with_certificate.clone(),
        };
        if !is_insecure {
            return Ok(Self {
                with_certificate,
                without,
            });
        }
        tracing::warn!(
            "certificates of servers are not checked: anybody in between can read and change everything"
        );
        Ok(Self {
            with_certificate: tls::without_verification(with_certificate),
            without: tls::without_verification(without),
        })
    }
}

/// Connections of one client: one set for each policy, with the certificate and without.
pub(super) struct Pool {
    configs: Configs,
    tap: Option<Arc<dyn Tap>>,
    network: Option<Network>,
    open: Vec<(EgressPolicy, bool, Connections)>,
}

impl Pool {
    /// Nothing is connected yet.
    pub(super) fn new(configs: Configs, network: Option<Network>) -> Self {
        Self {
            configs,
            tap: None,
            network,
            open: Vec::new(),
        }
    }

    /// The same, with connections that `tap` looks at.
    pub(super) fn tapped(self, tap: Option<Arc<dyn Tap>>) -> Self {
        Self { tap, ..self }
    }

    /// The connections under this policy, which show the certificate or don't.
    pub(super) fn of(
        &mut self,
        settings: &ClientSettings,
        policy: &EgressPolicy,
        shows_certificate: bool,
    ) -> &Connections {
        let same = |(other, shown, _): &(EgressPolicy, bool, Connections)| {
            other == policy && *shown == shows_certificate
        };
        let index = self.open.iter().position(same).unwrap_or_else(|| {
            let tls = if shows_certificate {
                &self.configs.with_certificate
            } else {
                &self.configs.without
            };
            let network = self.network.as_ref();
            let connections = Connections::with_tls(settings, tls.clone(), policy.clone(), network);
            let connections = connections.tapped(self.tap.clone());
            self.open.push((policy.clone(), shows_certificate, connections));
            self.open.len() - 1
        });
        &self.open[index].2
    }
}

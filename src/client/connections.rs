//! The connections of a client, all of them through the one way out.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use rustls::ClientConfig;
use tonic::body::Body;

use super::settings::ClientSettings;
use super::upload::SegmentsBody;
use super::wire::{Line, Tap};
use crate::egress::{Dial, Egress, EgressPolicy, EgressSettings, Resolve};
use crate::shutdown::Shutdown;
use crate::tls::{self, ClientTls};

/// The body of a request by the JSON bindings.
pub(super) type RequestBody = Either<Full<Bytes>, SegmentsBody>;

/// Another way to look names up, and another one to connect, than those of the system.
pub(super) type Network = (Arc<dyn Resolve>, Arc<dyn Dial>);

/// The way out by TLS as it is told.
pub(super) fn egress(limits: EgressSettings, tls: ClientConfig, network: Option<&Network>) -> Egress {
    let egress = Egress::with_tls(limits, tls, &Shutdown::new());
    match network {
        Some((resolver, dialer)) => egress.over(resolver.clone(), dialer.clone()),
        None => egress,
    }
}

/// Connections under one policy and with one certificate. Clones share them.
#[derive(Clone)]
pub struct Connections {
    /// For calls by gRPC.
    pub(super) http2: Line<Body>,
    /// For calls by JSON-RPC and HTTP+JSON.
    pub(super) http: Line<RequestBody>,
}

impl Connections {
    /// Connections by the authorities and the certificate of `tls`, or by those of the system.
    ///
    /// # Errors
    /// When a certificate file can't be used.
    pub async fn open(
        settings: &ClientSettings,
        tls: Option<&ClientTls>,
        policy: EgressPolicy,
    ) -> Result<Self, tls::Error> {
        let tls = match tls {
            Some(files) => files.rustls(&[]).await?,
            None => tls::web_client(None, &[]).await?,
        };
        Ok(Self::with_tls(settings, tls, policy, None))
    }

    /// Connections by TLS as it is told.
    pub(super) fn with_tls(
        settings: &ClientSettings,
        tls: ClientConfig,
        policy: EgressPolicy,
        network: Option<&Network>,
    ) -> Self {
        let limits = EgressSettings {
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
            connections_max: settings.connections_max,
            // Whoever makes many calls at once makes them again.
            idle_per_host_max: settings.connections_max,
            ..EgressSettings::default()
        };
        let egress = egress(limits, tls, network);
        Self {
            http2: Line::new(egress.http2_channel(policy.clone(), settings.ping_interval)),
            http: Line::new(egress.channel(policy)),
        }
    }

    /// The same, looked at by `tap`.
    pub(super) fn tapped(self, tap: Option<Arc<dyn Tap>>) -> Self {
        Self {
            http2: self.http2.tapped(tap.clone()),
            http: self.http.tapped(tap),
        }
    }
}

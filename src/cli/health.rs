//! `a2ad healthcheck`.

use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Outcome;
use super::settings::Settings;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Exit with 0 if the server of this configuration answers
#[derive(Args)]
pub struct Healthcheck {
    #[command(flatten)]
    settings: Settings,
}

impl Healthcheck {
    /// In the clear, the gRPC health service is asked. With TLS only the socket is tried: the check has no
    /// certificate of its own that the server would take.
    pub async fn run(self) -> Outcome {
        let config = self.settings.load()?.config;
        let mut address = config.server.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        if config.tls.is_on() {
            tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await??;
            return Ok(());
        }
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .connect()
            .await?;
        let answer = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await?
            .into_inner();
        match answer.status() {
            ServingStatus::Serving => Ok(()),
            status => Err(format!("the server says {}", status.as_str_name()).into()),
        }
    }
}

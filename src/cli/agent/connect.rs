//! From an agent card reference to an agent that can be called.

use std::sync::Arc;

use a2ad::client::{Address, Client, Credential, fetch_card};
use a2ad::pb::AgentCard;
use a2ad::tls::ClientTls;

use super::failure::Failure;
use super::options::Options;
use super::session::Session;

/// An agent, and what its card says.
pub struct Agent {
    pub client: Client,
    pub card: Arc<AgentCard>,
}

impl Session {
    /// Fetches the card and gets ready to call the agent.
    pub async fn connect(&self) -> Result<Agent, Failure> {
        let reference = self.options.to.agent_card.as_deref().ok_or_else(|| {
            Failure::usage("no agent is named").with_hint(
                "name its card with --agent-card REF or A2ACLI_AGENT_CARD, for example -a 127.0.0.1:8420",
            )
        })?;
        let (host, agent) = match reference.rsplit_once('/') {
            Some((host, agent)) if !host.ends_with('/') => {
                (host, Some(agent).filter(|agent| !agent.is_empty()))
            }
            _ => (reference, None),
        };
        let address: Address = host.parse().map_err(a2ad::client::Error::from)?;
        let tls = tls(&self.options)?;
        let address = if tls.is_some() {
            address.with_tls()
        } else {
            address
        };
        let card = fetch_card(&address, tls.as_ref(), agent).await?;
        let client = Client::grpc(&address, tls.as_ref(), credential(&self.options).as_ref()).await?;
        Ok(Agent {
            client,
            card: Arc::new(card),
        })
    }
}

fn tls(options: &Options) -> Result<Option<ClientTls>, Failure> {
    let to = &options.to;
    if to.cert.is_some() != to.key.is_some() {
        return Err(Failure::usage("--cert and --key belong together"));
    }
    Ok(to.ca.clone().map(|ca_file| ClientTls {
        ca_file,
        cert_file: to.cert.clone(),
        key_file: to.key.clone(),
    }))
}

fn credential(options: &Options) -> Option<Credential> {
    let credentials = &options.credentials;
    let token = credentials.bearer.clone().map(Credential::Token);
    token.or_else(|| credentials.api_key.clone().map(Credential::ApiKey))
}

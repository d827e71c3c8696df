//! The card of a server whose address is known.

use super::CardReference;
use crate::client::{Address, Client, Error};
use crate::pb::AgentCard;
use crate::tls::ClientTls;

/// The card of the default agent, or of the agent named `agent`, from its well-known place (specification 8.2).
///
/// # Errors
/// When the server can't be reached or what it answers is not a card. Redirects are not followed.
pub async fn fetch_card(
    address: &Address,
    tls: Option<&ClientTls>,
    agent: Option<&str>,
) -> Result<AgentCard, Error> {
    let path = agent.map_or(String::new(), |agent| format!("/{agent}"));
    let url = format!("{}{path}/.well-known/agent-card.json", address.url());
    let reference: CardReference = url.parse()?;
    let mut builder = Client::builder();
    if let Some(tls) = tls {
        builder = builder.tls(tls.clone());
    }
    let resolved = builder.resolve(&reference).await?;
    Ok(resolved.card.as_ref().clone())
}

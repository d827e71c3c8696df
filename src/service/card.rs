//! Agent cards, ready to be sent (specification 4.4, 8.6).

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use time::OffsetDateTime;
use time::macros::format_description;

use super::guard::Admission;
use super::{Inner, Method};
use crate::agent::Agents;
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::pb::{AgentCard, json};
use crate::signature::{self, SigningKey};

/// A public card with what HTTP caches want to know.
#[derive(Clone, Debug)]
pub struct CardDocument {
    /// The card as JSON.
    pub json: Bytes,
    /// A strong entity tag over the JSON, with its quotes.
    pub etag: String,
    /// When the card came into being, as an HTTP date.
    pub last_modified: String,
}

/// All cards as they are sent: public ones rendered once, and both kinds signed once.
pub(super) struct Cards {
    by_agent: HashMap<Arc<str>, CardDocument>,
    extended: HashMap<Arc<str>, AgentCard>,
    default: Arc<str>,
    key: Option<Arc<SigningKey>>,
}

impl Cards {
    pub(super) fn new(agents: &Agents, key: Option<Arc<SigningKey>>, now_ms: i64) -> Result<Self, Error> {
        let mut cards = Self {
            by_agent: HashMap::new(),
            extended: HashMap::new(),
            default: agents.default_agent().name.clone(),
            key,
        };
        let last_modified = http_date(now_ms);
        for agent in agents.iter() {
            let document = document(&cards.signed(agent.card.clone())?, &last_modified)?;
            cards.by_agent.insert(agent.name.clone(), document);
            if let Some(extended) = agent.options.extended_card.clone() {
                let extended = cards.signed(extended)?;
                cards.extended.insert(agent.name.clone(), extended);
            }
        }
        Ok(cards)
    }

    /// The card with our signature, if there is a key. The author of the agent can't have signed it: the runtime has had
    /// its say since.
    fn signed(&self, mut card: AgentCard) -> Result<AgentCard, Error> {
        if let Some(key) = &self.key {
            let signature = signature::sign(&card, key).map_err(|error| Error::internal(&error))?;
            card.signatures = vec![signature];
        }
        Ok(card)
    }

    pub(super) fn get(&self, agent: Option<&str>) -> Option<&CardDocument> {
        self.by_agent.get(agent.unwrap_or(&self.default))
    }
}

fn document(card: &AgentCard, last_modified: &str) -> Result<CardDocument, Error> {
    let json = json::to_vec(card).map_err(|error| Error::internal(&error))?;
    let digest = digest::digest(&digest::SHA256, &json);
    let etag: String = digest
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(CardDocument {
        json: Bytes::from(json),
        etag: format!("\"{etag}\""),
        last_modified: last_modified.to_owned(),
    })
}

impl Inner {
    /// The card for callers who are let in, with the skills that they may use; that the agent declares it was checked at
    /// the door.
    pub(super) fn extended_card(
        &self,
        call: &CallContext,
        admission: &Admission,
    ) -> Result<AgentCard, Error> {
        let agent = &admission.agent;
        let mut card = self.cards.extended.get(&agent.name).cloned().ok_or_else(|| {
            Error::new(
                Kind::ExtendedAgentCardNotConfigured,
                "the agent declares an extended card and none is configured; use the public card",
            )
        })?;
        let grants = &call.caller.grants;
        let sends = [Method::SendMessage, Method::SendStreamingMessage];
        let usable = sends.map(|method| grants.skills(&agent.name, method));
        let skills = card.skills.len();
        card.skills
            .retain(|skill| usable.iter().any(|usable| usable.contains(&skill.id)));
        if card.skills.len() < skills {
            // They are of the whole card.
            card.signatures.clear();
            return self.cards.signed(card);
        }
        Ok(card)
    }
}

/// A date as HTTP writes it (RFC 9110 5.6.7).
fn http_date(at_ms: i64) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .ok()
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}

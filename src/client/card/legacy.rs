//! Cards of versions before 1.0, as far as they say the same in other words: enough to show who answers, and to say
//! which version it speaks. This client does not speak it.

use serde::Deserialize;

use crate::pb::{AgentCapabilities, AgentCard, AgentInterface};

/// What is taken for the version of a card that names none.
const VERSION: &str = "0.3";

/// The members that mean the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldCard {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    version: String,
    url: String,
    #[serde(default)]
    protocol_version: Option<String>,
    #[serde(default)]
    preferred_transport: Option<String>,
    #[serde(default)]
    additional_interfaces: Vec<OldInterface>,
    #[serde(default)]
    capabilities: OldCapabilities,
}

#[derive(Deserialize)]
struct OldInterface {
    url: String,
    transport: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldCapabilities {
    streaming: Option<bool>,
    push_notifications: Option<bool>,
}

/// The card if it is one of the versions before 1.0: it has a `url` of its own, and no `supportedInterfaces`, which its
/// reader has looked for.
pub(super) fn read(json: &str) -> Option<AgentCard> {
    let old: OldCard = serde_json::from_str(json).ok()?;
    let version = old.protocol_version.unwrap_or_else(|| VERSION.to_owned());
    let interface = |url: String, binding: String| AgentInterface {
        url,
        protocol_binding: binding,
        protocol_version: version.clone(),
        ..AgentInterface::default()
    };
    let preferred = old.preferred_transport.unwrap_or_else(|| "JSONRPC".to_owned());
    let mut interfaces = vec![interface(old.url, preferred)];
    for other in old.additional_interfaces {
        let other = interface(other.url, other.transport);
        if !interfaces.contains(&other) {
            interfaces.push(other);
        }
    }
    Some(AgentCard {
        name: old.name,
        description: old.description,
        version: old.version,
        supported_interfaces: interfaces,
        capabilities: Some(AgentCapabilities {
            streaming: old.capabilities.streaming,
            push_notifications: old.capabilities.push_notifications,
            ..AgentCapabilities::default()
        }),
        ..AgentCard::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::card::choose;

    #[test]
    fn an_old_card_is_shown_and_not_spoken_to() {
        let card = read(
            r#"{"name": "Old", "version": "2", "url": "https://a.example/rpc", "protocolVersion": "0.3.0",
                "preferredTransport": "JSONRPC", "securitySchemes": {"k": {"type": "apiKey"}},
                "additionalInterfaces": [{"url": "https://a.example/rpc", "transport": "JSONRPC"},
                    {"url": "https://a.example:1", "transport": "GRPC"}],
                "capabilities": {"streaming": true}}"#,
        )
        .unwrap();
        let texts = card.supported_interfaces.iter();
        let texts: Vec<String> = texts
            .map(|one| format!("{} {} {}", one.protocol_binding, one.protocol_version, one.url))
            .collect();
        assert_eq!(
            texts,
            [
                "JSONRPC 0.3.0 https://a.example/rpc",
                "GRPC 0.3.0 https://a.example:1"
            ]
        );
        assert_eq!(card.capabilities.as_ref().unwrap().streaming, Some(true));
        let error = choose(&card, &[]).unwrap_err().to_string();
        assert!(error.contains("0.3.0"), "{error}");
    }

    #[test]
    fn what_says_less_is_none() {
        for other in [
            "{}",
            "[]",
            r#"{"name": "x"}"#,
            r#"{"url": "https://a.example"}"#,
            "x",
        ] {
            assert!(read(other).is_none(), "{other}");
        }
        let least = read(r#"{"name": "x", "url": "https://a.example"}"#).unwrap();
        assert_eq!(least.supported_interfaces[0].protocol_version, "0.3");
    }
}

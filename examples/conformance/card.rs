//! The cards of the conformance agent.

use a2ad::pb::{AgentCapabilities, AgentCard, AgentExtension, AgentSkill};

/// The extension that [`CardVariant::RequiredExtension`] demands.
const REQUIRED_EXTENSION: &str = "urn:a2a:tck:required-extension";

/// Listed one by one and without a wildcard: the kits send a media type that is not among them and expect it
/// to be refused before the agent sees it.
const INPUT_MODES: [&str; 6] = [
    "text/plain",
    "application/json",
    "application/octet-stream",
    "application/pdf",
    "application/x-protobuf",
    "image/png",
];

const OUTPUT_MODES: [&str; 2] = ["text/plain", "application/json"];

/// Which capabilities the card declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CardVariant {
    /// Streaming, push notifications and the extended card.
    #[default]
    Full,
    /// None at all.
    None,
    /// Streaming and push notifications, and an extension that callers have to activate.
    RequiredExtension,
}

/// What the agent says about itself; the runtime adds the interfaces.
pub fn card(variant: CardVariant) -> AgentCard {
    AgentCard {
        name: "Conformance".to_owned(),
        description: "Does what the public conformance kits for A2A expect, chosen by the message id"
            .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Some(capabilities(variant)),
        default_input_modes: INPUT_MODES.map(str::to_owned).to_vec(),
        default_output_modes: OUTPUT_MODES.map(str::to_owned).to_vec(),
        skills: vec![skill(
            "conformance",
            "Plays the behaviour named by the message id",
            "tck-complete-task",
        )],
        ..AgentCard::default()
    }
}

/// The card for authenticated callers of [`CardVariant::Full`]: one more skill.
pub fn extended_card() -> AgentCard {
    let mut card = card(CardVariant::Full);
    card.skills.push(skill(
        "instructions",
        "Follows the encoded instructions of the integration test kit",
        "a raw part instruction.bin",
    ));
    card
}

fn capabilities(variant: CardVariant) -> AgentCapabilities {
    let active = variant != CardVariant::None;
    AgentCapabilities {
        streaming: Some(active),
        push_notifications: Some(active),
        extended_agent_card: Some(variant == CardVariant::Full),
        extensions: if variant == CardVariant::RequiredExtension {
            vec![extension()]
        } else {
            Vec::new()
        },
    }
}

fn extension() -> AgentExtension {
    AgentExtension {
        uri: REQUIRED_EXTENSION.to_owned(),
        description: "Has no effect; callers have to activate it".to_owned(),
        required: true,
        ..AgentExtension::default()
    }
}

fn skill(id: &str, description: &str, example: &str) -> AgentSkill {
    AgentSkill {
        id: id.to_owned(),
        name: id.to_owned(),
        description: description.to_owned(),
        tags: vec!["conformance".to_owned()],
        examples: vec![example.to_owned()],
        ..AgentSkill::default()
    }
}

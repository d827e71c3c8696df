//! The cards of the conformance agent.

use a2ad::pb::{AgentCapabilities, AgentCard, AgentSkill};

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

/// What the agent says about itself; the runtime adds the interfaces.
pub fn card() -> AgentCard {
    AgentCard {
        name: "Conformance".to_owned(),
        description: "Does what the public conformance kits for A2A expect, chosen by the message id"
            .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            extended_agent_card: Some(true),
            extensions: Vec::new(),
        }),
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

/// The card for authenticated callers: one more skill.
pub fn extended_card() -> AgentCard {
    let mut card = card();
    card.skills.push(skill(
        "instructions",
        "Follows the encoded instructions of the integration test kit",
        "a raw part instruction.bin",
    ));
    card
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

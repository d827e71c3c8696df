//! `[agents.NAME]`: what an operator says differently from an agent's own card.

use super::retention::AgentRetention;
use super::schema::{choice, section};

choice! {
    /// What makes two sends the same send.
    pub enum Idempotency {
        /// The `idempotency-key` that the client names.
        Key = "key",
        /// The message's own id as well; only for clients that never use one twice.
        MessageId = "message-id",
    }
}

section! {
    /// Who provides an agent.
    pub struct ProviderConfig {
        /// The provider's web site, shown on the card.
        url: String = String::new();
        /// The provider's name, shown on the card.
        organization: String = String::new();
    }
}

section! {
    /// One agent. What is absent stays as the agent's own card says.
    pub struct AgentConfig {
        /// Name on the card, for people.
        title: Option<String> = None;
        /// What the agent does, on its card.
        description: Option<String> = None;
        /// Version of the agent on its card.
        version: Option<String> = None;
        /// URL of the agent's documentation on its card.
        documentation_url: Option<String> = None;
        /// URL of an icon on the agent's card.
        icon_url: Option<String> = None;
        /// Who provides the agent, on its card.
        provider: Option<ProviderConfig> = None;
        /// Whether the card offers streams.
        streaming: Option<bool> = None;
        /// Whether the card offers push notifications.
        push_notifications: Option<bool> = None;
        /// Whether callers with an identity can ask for an extended card.
        extended_card: Option<bool> = None;
        /// Closes streams when a task asks for input or authentication; by default they stay open until it ends.
        close_on_interrupt: bool = false;
        /// What makes two sends the same: "key" (the client names one) or "message-id" as well.
        idempotency: Idempotency = Idempotency::Key;
        /// How long its ended tasks are kept.
        retention: Option<AgentRetention> = None;
        /// Executions of this agent that run at once; absent: limits.executions_max.
        executions_max: Option<usize> = None, 1..=1_000_000;
    }
}

//! `[agents.NAME]`: what an operator says differently from an agent's own card.

use super::quotas::AgentQuota;
use super::retention::AgentRetention;
use super::schema::{DAY_MS, choice, section};

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
        /// The organisations that know of this agent; for callers of others, and for those of none, it does not exist.
        /// Empty: everybody knows it.
        organisations: Vec<String> = Vec::new();
        /// Closes streams when a task asks for input or authentication; by default they stay open until it ends.
        close_on_interrupt: bool = false;
        /// What makes two sends the same: "key" (the client names one) or "message-id" as well.
        idempotency: Idempotency = Idempotency::Key;
        /// How long its ended tasks are kept.
        retention: Option<AgentRetention> = None;
        /// What all its callers together may use of it; what is absent is as in quotas.agent.
        quota: Option<AgentQuota> = None;
        /// Executions of this agent that run at once; absent: limits.executions_max.
        executions_max: Option<usize> = None, 1..=1_000_000;
        /// Executions of this agent that run at once for one owner, 0: no limit; absent:
        /// execution.executions_per_owner_max.
        executions_per_owner_max: Option<usize> = None, 0..=1_000_000;
        /// Tasks that wait for a free execution of this agent; absent: execution.queue_max.
        queue_max: Option<usize> = None, 0..=1_000_000;
        /// Times that this agent begins to work on one message when its process dies; absent: execution.attempts_max.
        attempts_max: Option<u32> = None, 1..=1_000;
        /// Milliseconds that one execution may take, 0: no limit; absent: execution.task_timeout_ms.
        task_timeout_ms: Option<u64> = None, 0..=31 * DAY_MS;
        /// Milliseconds that a task may wait for its caller, 0: no limit; absent: execution.interrupted_ttl_ms.
        interrupted_ttl_ms: Option<u64> = None, 0..=45 * DAY_MS;
    }
}

//! The composition root: builds a runtime out of all rooms, serves, and takes it apart again.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn example(executor: Arc<dyn a2ad::agent::AgentExecutor>) -> Result<(), a2ad::app::StartError> {
//! use a2ad::app::{HostedAgent, Runtime};
//!
//! let agent = HostedAgent::new("shout", a2ad::pb::AgentCard::default(), executor);
//! let runtime = Runtime::start(a2ad::config::Config::default(), vec![agent]).await?;
//! println!("listening on {}", runtime.address());
//! runtime.serve_until_signal().await;
//! # Ok(())
//! # }
//! ```

mod audit;
mod auth;
mod cards;
mod engine;
mod error;
mod push;
mod quotas;
mod retention;
mod runtime;
mod settings;
mod signals;
mod signing;
mod stores;

use std::sync::Arc;

use crate::agent::AgentExecutor;
use crate::pb::AgentCard;

pub use audit::{record_admin, record_key_change, record_push_change};
pub use error::StartError;
pub use retention::{Removed, RetentionPolicy, forget_dead_letters, prune};
pub use runtime::Runtime;
pub use settings::{database as database_settings, egress as egress_settings, keys as key_source};
pub use stores::{Stores, open_stores};

/// The extension by which a card says that sends with the same `idempotency-key` give the same task.
pub use crate::service::IDEMPOTENCY_EXTENSION;

/// The extension by which a card says that streams can be resumed from a generation.
pub use crate::service::RESUME_EXTENSION;

/// The extension by which a card says that calls may name their place in a chain of agents, and that chains end.
pub const DELEGATION_EXTENSION: &str = "urn:a2ad:extension:delegation:v1";

/// The extension by which a card says that the URL of a webhook may choose the events that it wants.
pub use crate::push::EVENTS_EXTENSION as PUSH_EVENTS_EXTENSION;

/// An agent that is to be hosted: its card without interfaces, which the runtime knows better.
pub struct HostedAgent {
    /// The name that addresses it.
    pub name: String,
    /// The public card.
    pub card: AgentCard,
    /// The card for authenticated callers, if there is one.
    pub extended_card: Option<AgentCard>,
    /// What runs.
    pub executor: Arc<dyn AgentExecutor>,
}

impl HostedAgent {
    /// An agent without an extended card.
    pub fn new(name: impl Into<String>, card: AgentCard, executor: Arc<dyn AgentExecutor>) -> Self {
        Self {
            name: name.into(),
            card,
            extended_card: None,
            executor,
        }
    }
}

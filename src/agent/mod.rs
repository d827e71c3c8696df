//! What an agent author implements, and what the runtime hands to it.
//!
//! This room knows the protocol's types and nothing of databases, sockets or streams. Start at [`AgentExecutor`];
//! [`TaskUpdater`] is the pen that an execution writes with, [`Agent`] the executor together with its card.

mod blocking;
mod context;
mod delegation;
mod executor;
mod polls;
mod registry;
mod threads;
mod updater;

use crate::access::Principal;

pub use blocking::{BlockingError, run_blocking};
pub use context::{RequestContext, SKILL_ID, TaskReader};
pub use delegation::{Delegation, DelegationError, DelegationLimits, Onward};
pub use executor::{AgentError, AgentExecutor, CancelOutcome, Recovery};
pub use registry::{Agent, AgentOptions, Agents, Idempotency, RegistryError};
pub(crate) use threads::on_own_thread;
pub use updater::{TaskUpdate, TaskUpdater, UpdateError, UpdateReceiver, channel};

/// The executions of an agent: who may run one, and who waits.
pub(crate) type Slots = crate::slots::Slots<Principal>;
pub(crate) type Slot = crate::slots::Slot<Principal>;
pub(crate) type Place = crate::slots::Place<Principal>;
pub(crate) type Ticket = crate::slots::Ticket<Principal>;

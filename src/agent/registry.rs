//! The agents that one runtime hosts, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::polls::Polls;
use super::{AgentExecutor, Slots};
use crate::access::{Caller, Names};
use crate::pb::AgentCard;
use crate::slots::SlotLimits;

/// Which sends of an agent count as repetitions of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// Sends that name the same `idempotency-key`.
    #[default]
    Key,
    /// Also sends with the same `messageId` that name no key. Off by default: clients in the field reuse ids.
    MessageId,
}

/// How the runtime treats one agent.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// End streams when the task asks for input or auth, for peers that wait for the end (specification 11.7).
    pub close_on_interrupt: bool,
    /// Which sends count as repetitions.
    pub idempotency: Idempotency,
    /// How many executions may run at once; more wait in line.
    pub executions_max: usize,
    /// How many of them may be of one owner, so that one whose tasks never end leaves some to the others; more wait in
    /// line, even while others are free. `None` is three quarters of `executions_max`, one at least.
    pub executions_per_owner_max: Option<usize>,
    /// How many tasks may wait for a free execution; more are refused with RESOURCE_EXHAUSTED.
    pub queue_max: usize,
    /// How many of them may be of one owner.
    pub queue_per_owner_max: usize,
    /// How often the agent may begin to work on one message when its process dies each time.
    pub attempts_max: u32,
    /// How long one execution may run before its task fails; `None` for ever. Every message of a task begins anew, and
    /// so does every attempt at one.
    pub task_timeout: Option<Duration>,
    /// How long a task may wait for its caller (INPUT_REQUIRED, AUTH_REQUIRED) before it fails; `None` for ever.
    pub interrupted_ttl: Option<Duration>,
    /// The card for authenticated callers (specification 3.1.11).
    pub extended_card: Option<AgentCard>,
    /// The organisations whose callers know of the agent; `None` for everybody. For all others it does not exist.
    pub organisations: Option<Names>,
}

impl AgentOptions {
    /// Whether a caller knows of the agent.
    pub fn is_known_to(&self, caller: &Caller) -> bool {
        self.organisations.as_ref().is_none_or(|organisations| {
            let organisation = caller.organisation.as_deref();
            organisation.is_some_and(|name| organisations.contains(name))
        })
    }

    /// How many executions of one owner may run at once.
    pub fn executions_per_owner_max(&self) -> usize {
        let share = self.executions_max / 4 * 3 + self.executions_max % 4 * 3 / 4;
        self.executions_per_owner_max.unwrap_or(share).max(1)
    }
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            close_on_interrupt: false,
            idempotency: Idempotency::Key,
            executions_max: 1_024,
            executions_per_owner_max: None,
            queue_max: 1_024,
            queue_per_owner_max: 256,
            attempts_max: 3,
            task_timeout: None,
            interrupted_ttl: None,
            extended_card: None,
            organisations: None,
        }
    }
}

/// An executor with its name, card and options.
pub struct Agent {
    /// The name that addresses it: the protocol's `tenant`, and the path prefix.
    pub name: Arc<str>,
    /// The public card, complete with interfaces.
    pub card: AgentCard,
    /// What runs.
    pub executor: Arc<dyn AgentExecutor>,
    /// How it is treated.
    pub options: AgentOptions,
    /// The executions that may run, and who waits for one.
    pub(crate) slots: Arc<Slots>,
    /// The threads that may be held by cancel requests which the agent thinks about: one for each execution.
    pub(crate) cancels: Arc<Semaphore>,
    polls: Polls,
}

impl Agent {
    /// An agent named `name`.
    ///
    /// # Errors
    /// When the name would shadow a route or is not of the form `[a-z0-9][a-z0-9_-]{0,63}`.
    pub fn new(
        name: &str,
        card: AgentCard,
        executor: Arc<dyn AgentExecutor>,
        options: AgentOptions,
    ) -> Result<Self, RegistryError> {
        check_name(name)?;
        let slots = Slots::new(SlotLimits {
            slots: options.executions_max,
            per_owner: options.executions_per_owner_max(),
            queue: options.queue_max,
            queue_per_owner: options.queue_per_owner_max,
        });
        let cancels = options.executions_max.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            name: Arc::from(name),
            card,
            executor,
            options,
            slots,
            cancels: Arc::new(Semaphore::new(cancels)),
            polls: Polls::default(),
        })
    }

    /// Whether its code runs on threads of its own: the agent says that it blocks, or was seen to.
    pub(crate) fn runs_off_thread(&self) -> bool {
        self.executor.is_blocking() || self.polls.shows_blocking()
    }

    /// The agent held a thread for too long. When that is how it is, it gets threads of its own from its next
    /// execution on.
    pub(crate) fn has_held_a_thread(&self, began: Instant, ended: Instant) {
        if self.polls.took_long(began, ended) {
            tracing::warn!(
                agent = %self.name,
                took = ?ended.duration_since(began),
                "the agent holds threads that others need; from now on it runs on threads of its own. Say \
                 is_blocking(), or use run_blocking for what computes or blocks"
            );
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Agent")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why a set of agents can't be hosted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The name has characters that a path segment or tenant should not have.
    #[error(
        "agent name {0:?} is not valid; use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
    )]
    BadName(String),
    /// The name is that of a route.
    #[error("agent name {0:?} would shadow a route of the HTTP bindings; choose another")]
    Reserved(String),
    /// Two agents have the same name.
    #[error("two agents are named {0:?}; names address agents, so each needs its own")]
    Duplicate(String),
    /// The default agent is not among the agents.
    #[error("the default agent {name:?} is not hosted here; hosted are: {hosted}")]
    UnknownDefault {
        /// The name that was asked for.
        name: String,
        /// The names that exist, joined by commas.
        hosted: String,
    },
    /// There is no agent at all.
    #[error("no agent is hosted; add one, or start with --demo")]
    Empty,
}

/// First path segments that the HTTP bindings use themselves.
const RESERVED: [&str; 8] = [
    "tasks",
    "message",
    "extendedagentcard",
    "rpc",
    "openapi",
    "healthz",
    "metrics",
    "admin",
];

fn check_name(name: &str) -> Result<(), RegistryError> {
    let grammar = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && !name.starts_with(['-', '_']);
    if !grammar {
        return Err(RegistryError::BadName(name.to_owned()));
    }
    if RESERVED.contains(&name) {
        return Err(RegistryError::Reserved(name.to_owned()));
    }
    Ok(())
}

/// All agents of a runtime and which of them answers when none is named.
#[derive(Clone, Debug)]
pub struct Agents {
    by_name: Arc<BTreeMap<Arc<str>, Arc<Agent>>>,
    default: Arc<Agent>,
}

impl Agents {
    /// Puts agents together; without a `default` name the first one given is the default agent.
    ///
    /// # Errors
    /// When there is none, when two share a name, or when the default is not among them.
    pub fn new(agents: Vec<Agent>, default: Option<&str>) -> Result<Self, RegistryError> {
        let first = agents
            .first()
            .map(|agent| agent.name.clone())
            .ok_or(RegistryError::Empty)?;
        let mut by_name = BTreeMap::new();
        for agent in agents {
            let name = agent.name.clone();
            if by_name.insert(name.clone(), Arc::new(agent)).is_some() {
                return Err(RegistryError::Duplicate(name.to_string()));
            }
        }
        let wanted = default.unwrap_or(&first);
        let default = by_name
            .get(wanted)
            .cloned()
            .ok_or_else(|| RegistryError::UnknownDefault {
                name: wanted.to_owned(),
                hosted: by_name
                    .keys()
                    .map(|name| name.as_ref())
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        Ok(Self {
            by_name: Arc::new(by_name),
            default,
        })
    }

    /// The agent of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Agent>> {
        self.by_name.get(name)
    }

    /// The agent that answers when none is named.
    pub fn default_agent(&self) -> &Arc<Agent> {
        &self.default
    }

    /// All agents, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.by_name.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_shadow_routes_or_break_paths_are_refused() {
        for good in ["echo", "a", "team-7_b", "0x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "Echo",
            "-a",
            "_a",
            "a/b",
            "a.b",
            "..",
            "a b",
            "é",
            &"a".repeat(65),
        ] {
            assert_eq!(
                check_name(bad),
                Err(RegistryError::BadName(bad.to_owned())),
                "{bad}"
            );
        }
        for reserved in RESERVED {
            assert_eq!(
                check_name(reserved),
                Err(RegistryError::Reserved(reserved.to_owned()))
            );
        }
    }
}

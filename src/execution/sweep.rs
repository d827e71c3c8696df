//! The rounds of a runtime: every so often it looks for tasks whose lease ran out, and for tasks that have waited for
//! their callers too long.
//!
//! It does so at the start, when all of its own earlier tasks may be among them, and then for as long as it runs, so that
//! one process takes up what another one left.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};

use super::Executions;
use super::recover::call_of;
use crate::agent::{Agent, AgentError, AgentExecutor, AgentOptions, Agents, RequestContext, TaskUpdater};
use crate::error::{Error, Kind};
use crate::pb::AgentCard;
use crate::repository::{self, Interrupted, Lapsed};

/// Tasks that are read at once.
const PAGE: usize = 256;
/// Tasks that are taken up at once.
const AT_ONCE: usize = 32;

/// Takes up what others left.
#[derive(Clone)]
pub struct Sweeper {
    executions: Executions,
    agents: Agents,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks whose lease ran out and that were run again or failed.
    pub taken_up: usize,
    /// Tasks whose lease ran out and that were left alone: there was no room for them, they are damaged, or somebody
    /// else was quicker.
    pub left: usize,
    /// Tasks that had waited for their callers too long.
    pub expired: usize,
}

impl Sweeper {
    /// Rounds over the tasks of these agents. Tasks of agents that are not hosted here fail when their lease runs out.
    pub fn new(executions: Executions, agents: Agents) -> Self {
        Self { executions, agents }
    }

    /// Makes one round after the other, `pause` apart, until the runtime drains.
    pub async fn run(self, pause: Duration) {
        let shutdown = self.executions.0.shutdown.clone();
        while !shutdown.is_draining() {
            match self.round().await {
                Ok(Swept {
                    taken_up: 0,
                    expired: 0,
                    ..
                }) => {}
                Ok(swept) => tracing::info!(?swept, "took up tasks that others left"),
                Err(error) => tracing::warn!(%error, "a round over unfinished tasks ended early"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.draining() => {}
            }
        }
    }

    /// Makes one round.
    ///
    /// # Errors
    /// When the tasks can't be listed. A single task that can't be taken up does not keep others from it; the next
    /// round tries again.
    pub async fn round(&self) -> Result<Swept, repository::Error> {
        let mut swept = self.lapsed().await?;
        for agent in self.agents.iter() {
            if let Some(ttl) = agent.options.interrupted_ttl {
                swept.expired += self.interrupted(agent, ttl).await?;
            }
        }
        Ok(swept)
    }

    async fn lapsed(&self) -> Result<Swept, repository::Error> {
        let repository = &self.executions.0.repository;
        let (mut swept, mut last) = (Swept::default(), None);
        loop {
            let page = repository.lapsed(last.as_ref(), PAGE).await?;
            let (listed, page) = (page.last().cloned(), stream::iter(page));
            let outcomes = page.map(|left| self.take_up(left)).buffer_unordered(AT_ONCE);
            let outcomes: Vec<bool> = outcomes.collect().await;
            let taken_up = outcomes.iter().filter(|taken| **taken).count();
            swept.taken_up += taken_up;
            swept.left += outcomes.len() - taken_up;
            match listed {
                Some(lapsed) if !self.executions.0.shutdown.is_draining() => last = Some(lapsed),
                _ => return Ok(swept),
            }
        }
    }

    async fn take_up(&self, left: Lapsed) -> bool {
        let agent = self.agents.get(&left.scope.agent).cloned();
        let Some(agent) = agent.or_else(|| gone(&left.scope.agent)) else {
            return false;
        };
        let call = call_of(&left.scope.owner);
        let taken = self.executions.recover(&agent, &left, &call).await;
        taken.unwrap_or_else(|error| {
            tell(&left.task_id, &call.request_id, &error);
            false
        })
    }

    async fn interrupted(&self, agent: &Arc<Agent>, ttl: Duration) -> Result<usize, repository::Error> {
        let shared = &self.executions.0;
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let until_ms = shared.clock.now_ms().saturating_sub(ttl_ms);
        let (mut expired, mut last): (usize, Option<Interrupted>) = (0, None);
        loop {
            let page = shared
                .repository
                .interrupted(&agent.name, until_ms, last.as_ref(), PAGE)
                .await?;
            for waiting in &page {
                match self.executions.expire(agent, waiting).await {
                    Ok(ended) => expired += usize::from(ended),
                    Err(error) => tell(&waiting.task_id, "expiry", &error),
                }
            }
            match page.into_iter().next_back() {
                Some(waiting) if !shared.shutdown.is_draining() => last = Some(waiting),
                _ => return Ok(expired),
            }
        }
    }
}

fn tell(task_id: &str, request_id: &str, error: &Error) {
    error.log(request_id);
    if !matches!(error.kind, Kind::Unavailable | Kind::Conflict) {
        tracing::error!(task.id = task_id, %error, "an unfinished task can't be taken up");
    }
}

/// Stands in for an agent that is not hosted any more: all that it can do is to let its tasks fail.
struct Gone;

#[async_trait]
impl AgentExecutor for Gone {
    async fn execute(&self, _: RequestContext, _: TaskUpdater) -> Result<(), AgentError> {
        Err(AgentError::new("the agent is not hosted any more"))
    }
}

fn gone(name: &str) -> Option<Arc<Agent>> {
    let agent = Agent::new(
        name,
        AgentCard::default(),
        Arc::new(Gone),
        AgentOptions::default(),
    );
    agent
        .map(Arc::new)
        .inspect_err(|error| tracing::error!(%error, "unfinished tasks of an agent that can't be named"))
        .ok()
}

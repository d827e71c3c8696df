//! Taking up what the last process left running.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};

use crate::agent::{Agent, AgentError, AgentExecutor, AgentOptions, Agents, RequestContext, TaskUpdater};
use crate::context::{Binding, CallContext};
use crate::error::{Error, Kind};
use crate::execution::Executions;
use crate::pb::AgentCard;
use crate::repository::{self, TaskRepository, Unfinished};
use crate::shutdown::Shutdown;
use crate::task::new_id;

/// Tasks that are read at once.
const PAGE: usize = 256;
/// Tasks of one agent that are taken up at once.
const AT_ONCE: usize = 32;
/// The pause before a task is tried again, and the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Every task that says it is running. Read before requests come in, so all of them are what the last process left.
///
/// # Errors
/// As the repository's.
pub(super) async fn left_behind(
    repository: &Arc<dyn TaskRepository>,
) -> Result<Vec<Unfinished>, repository::Error> {
    let mut left: Vec<Unfinished> = Vec::new();
    loop {
        let after = left.last().map_or(String::new(), |last| last.task_id.clone());
        let page = repository.unfinished(&after, PAGE).await?;
        if page.is_empty() {
            return Ok(left);
        }
        left.extend(page);
    }
}

/// Restarts or fails tasks, as their agents say. It goes on while requests come in already: a restart may have to wait
/// until its agent may run once more. Agents don't wait for each other.
pub(super) async fn recover(
    left: Vec<Unfinished>,
    executions: Executions,
    agents: Agents,
    shutdown: Shutdown,
) {
    if left.is_empty() {
        return;
    }
    tracing::info!(
        tasks = left.len(),
        "taking up the tasks that the last run left running"
    );
    let mut by_agent: HashMap<Arc<str>, Vec<Unfinished>> = HashMap::new();
    for task in left {
        by_agent.entry(task.scope.agent.clone()).or_default().push(task);
    }
    let every_agent = by_agent.into_iter().map(|(name, tasks)| {
        let agent = agents.get(&name).cloned().or_else(|| gone(&name));
        of_agent(agent, tasks, &executions, &shutdown)
    });
    futures_util::future::join_all(every_agent).await;
}

async fn of_agent(
    agent: Option<Arc<Agent>>,
    tasks: Vec<Unfinished>,
    executions: &Executions,
    shutdown: &Shutdown,
) {
    let Some(agent) = agent else { return };
    stream::iter(tasks)
        .for_each_concurrent(AT_ONCE, |task| take_up(agent.clone(), task, executions, shutdown))
        .await;
}

/// Takes one task up, however often that must be tried. A task that can't be read is left alone: it must not keep the
/// others from being taken up.
async fn take_up(agent: Arc<Agent>, left: Unfinished, executions: &Executions, shutdown: &Shutdown) {
    let mut pause = PAUSE;
    while !shutdown.is_draining() {
        let call = call_of(&left);
        let error = match executions.recover(&agent, &left, &call).await {
            Ok(()) => return,
            Err(error) => error,
        };
        error.log(&call.request_id);
        if !may_pass(&error) {
            tracing::error!(task.id = left.task_id, %error, "an unfinished task can't be taken up");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Conflict)
}

/// A call that nobody made.
fn call_of(left: &Unfinished) -> CallContext {
    CallContext {
        principal: left.scope.owner.clone(),
        binding: Binding::Grpc,
        peer: None,
        request_id: Arc::from(new_id()),
        trace: None,
        version: None,
        extensions: Arc::new([]),
        path_agent: None,
        idempotency_key: None,
        last_generation: None,
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

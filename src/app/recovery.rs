//! Taking up what the last process left running.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::agent::Agents;
use crate::context::{Binding, CallContext, Principal};
use crate::error::Error;
use crate::execution::Executions;
use crate::repository::{TaskRepository, Unfinished};
use crate::task::new_id;

/// Tasks that are read at once.
const PAGE: usize = 256;
/// Tasks that are taken up at once.
const AT_ONCE: usize = 32;

/// Restarts or fails every task that the last process left running. It goes on in the background while requests come
/// in already: a restart may have to wait until its agent may run once more. Tasks that began after the start are not
/// looked at; they have writers.
pub(super) async fn recover(repository: Arc<dyn TaskRepository>, executions: Executions, agents: Agents) {
    let until = new_id();
    match every_page(&repository, &executions, &agents, &until).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(tasks = count, "took up the tasks that the last run left running"),
        Err(error) => {
            tracing::error!(%error, "not all tasks of the last run could be taken up; restart to try again")
        }
    }
}

async fn every_page(
    repository: &Arc<dyn TaskRepository>,
    executions: &Executions,
    agents: &Agents,
    until: &str,
) -> Result<usize, Error> {
    let mut after = String::new();
    let mut count = 0;
    loop {
        let mut left = repository.unfinished(&after, PAGE).await?;
        // Ids are made in the order of time.
        left.retain(|task| *task.task_id < *until);
        let Some(last) = left.last() else { return Ok(count) };
        after.clone_from(&last.task_id);
        count += left.len();
        stream::iter(left)
            .map(|left| take_up(executions, agents, left))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
}

async fn take_up(executions: &Executions, agents: &Agents, left: Unfinished) -> Result<(), Error> {
    let Some(agent) = agents.get(&left.scope.agent) else {
        tracing::warn!(agent = %left.scope.agent, task.id = left.task_id, "an unfinished task has no agent any more");
        return Ok(());
    };
    let call = CallContext {
        principal: Principal::clone(&left.scope.owner),
        binding: Binding::Grpc,
        peer: None,
        request_id: Arc::from(new_id()),
        trace: None,
        version: None,
        extensions: Arc::new([]),
        path_agent: None,
        idempotency_key: None,
        last_generation: None,
    };
    executions.recover(agent, &left, &call).await
}

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

/// Restarts or fails every task that says it is running; the number of tasks taken up. Called before requests come in,
/// by a process that owns the database: so nobody is working on any of them.
pub(super) async fn recover(
    repository: &Arc<dyn TaskRepository>,
    executions: &Executions,
    agents: &Agents,
) -> Result<usize, Error> {
    let mut after = String::new();
    let mut count = 0;
    loop {
        let left = repository.unfinished(&after, PAGE).await?;
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

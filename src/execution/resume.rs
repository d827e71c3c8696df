//! Readers that join a task: with the task itself, or behind the last event that they have seen.
//!
//! A reader's cursor is the generation of its last event; 0 stands before the first one. It gets every later event
//! exactly once, also of a task that has ended: then the rest, and the end. Without a cursor the specification's rules
//! hold: the task comes first, and a task that has ended has no stream (3.1.6).
//!
//! Retention removes the beginnings of long logs. A reader whose cursor lies before what is left gets the task as it
//! stands now, then what follows, and is told so: [`EventStream::cursor_expired`] has the first generation that is
//! still there. A reader that falls behind retention while it reads gets UNAVAILABLE with its cursor, because its
//! events can no longer follow densely; when it comes back with that cursor, it is told as above.

use std::sync::Arc;

use super::executions::Executions;
use super::subscription::{EventStream, Loaded, Subscription};
use crate::agent::Agent;
use crate::context::Scope;
use crate::error::{Error, Kind};
use crate::pb::Task;
use crate::repository::{self, StoredTask};
use crate::task::is_terminal;

impl Executions {
    /// The events of a task: the task first, or, for a reader that names the last generation it has seen, what came
    /// after that.
    ///
    /// # Errors
    /// TaskNotFound; UnsupportedOperation when the task is terminal and no cursor is given; InvalidParams for a cursor
    /// that the task has not reached.
    pub async fn subscribe(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
        cursor: Option<u64>,
    ) -> Result<EventStream, Error> {
        let (subscription, stored) = self.join(agent, scope, task_id).await?;
        match cursor {
            Some(cursor) => resume(subscription, cursor, stored).await,
            None if has_ended(&stored.task) => Err(over(&stored.task)),
            None => Ok(subscription.begin_with(stored.generation, stored.task)),
        }
    }

    /// The events of a task from the first one that is kept, also when it has ended: the answer to a repeated streaming
    /// send. The caller has named no cursor, so none has expired.
    ///
    /// # Errors
    /// TaskNotFound.
    pub async fn replay(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
    ) -> Result<EventStream, Error> {
        let (subscription, stored) = self.join(agent, scope, task_id).await?;
        Ok(resume(subscription, 0, stored).await?.unasked())
    }

    /// Registers before it reads, so that no event falls between.
    async fn join(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
    ) -> Result<(Subscription, StoredTask), Error> {
        let task_id: Arc<str> = Arc::from(task_id);
        let subscription = self.subscription(agent, scope, &task_id);
        let stored = self.0.repository.get(scope, &task_id).await?;
        let stored = stored.ok_or_else(|| Error::task_not_found(&task_id))?;
        subscription.wake(stored.generation);
        Ok((subscription, stored))
    }
}

async fn resume(subscription: Subscription, cursor: u64, stored: StoredTask) -> Result<EventStream, Error> {
    let StoredTask { task, generation, .. } = stored;
    if cursor > generation {
        return Err(Error::invalid(
            "lastGeneration",
            format!("the task is at generation {generation}; a reader can't have seen {cursor}"),
        ));
    }
    if cursor == generation && has_ended(&task) {
        return Ok(EventStream::whole(Vec::new()).of(&task.id));
    }
    let mut subscription = subscription.behind(cursor);
    match subscription.load().await {
        Ok(Loaded::Gone) => Err(Error::task_not_found(&task.id)),
        Ok(Loaded::Events | Loaded::NothingYet) => Ok(subscription.go_on()),
        Err(repository::Error::Expired { first }) => {
            Ok(subscription.begin_with(generation, task).expired(first))
        }
        Err(error) => Err(error.into()),
    }
}

fn has_ended(task: &Task) -> bool {
    task.status
        .as_ref()
        .is_some_and(|status| is_terminal(status.state()))
}

fn over(task: &Task) -> Error {
    let state = task.status.as_ref().map(|status| status.state());
    let state = state.unwrap_or_default().as_str_name();
    let text = format!("the task is {state} and has no more events; use GetTask");
    Error::new(Kind::UnsupportedOperation, text).with("taskId", &*task.id)
}

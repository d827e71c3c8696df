//! The task while it is being written, and how its agent looks at it and at others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::agent::TaskReader;
use crate::context::Scope;
use crate::pb::Task;
use crate::repository::TaskRepository;

/// The task as its writer has it: it may be ahead of what is committed, so only the agent itself looks at it.
#[derive(Debug, Default)]
pub(super) struct TaskCell(Mutex<Task>);

impl TaskCell {
    pub(super) fn new(task: Task) -> Arc<Self> {
        Arc::new(Self(Mutex::new(task)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Task> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads tasks for one execution.
pub(super) struct ScopedReader {
    pub(super) cell: Arc<TaskCell>,
    pub(super) scope: Scope,
    pub(super) repository: Arc<dyn TaskRepository>,
}

#[async_trait]
impl TaskReader for ScopedReader {
    fn current(&self) -> Task {
        self.cell.lock().clone()
    }

    async fn task(&self, id: &str) -> Option<Task> {
        match self.repository.get(&self.scope, id).await {
            Ok(stored) => stored.map(|stored| stored.task),
            Err(error) => {
                tracing::warn!(task.id = id, %error, "a referenced task could not be read");
                None
            }
        }
    }
}

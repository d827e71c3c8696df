//! Bringing one write to the repository, however often that must be tried.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::command::Reply;
use super::trail::Trail;
use crate::pb::Task;
use crate::repository::{Error, Lease, TaskRepository, TaskWrite};
use crate::task::TaskEvent;

/// The pause before the first repetition; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

type Outcome = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A write on its way.
pub(super) struct Commit {
    write: TaskWrite,
    trail: Trail,
    outcome: Outcome,
    pause: Duration,
    /// Who is answered when it has arrived, and with which task.
    pub(super) accepted: Vec<Reply>,
    pub(super) task: Option<Box<Task>>,
    /// Who repeated a send whose first one has arrived with this write at the latest.
    pub(super) repeated: Vec<Reply>,
}

impl Commit {
    /// Sends the write on its way; `task` is the task as it will be then, if somebody wants to know.
    pub(super) fn start(
        repository: &Arc<dyn TaskRepository>,
        write: TaskWrite,
        trail: Trail,
        accepted: Vec<Reply>,
        task: Option<Box<Task>>,
    ) -> Self {
        let (repository, sent) = (repository.clone(), write.clone());
        let sender = trail.clone();
        let outcome = Box::pin(async move { sender.along(repository.commit(sent)).await });
        Self {
            write,
            trail,
            outcome,
            pause: PAUSE,
            accepted,
            task,
            repeated: Vec::new(),
        }
    }

    /// Waits for the outcome. Safe to cancel.
    pub(super) async fn wait(&mut self) -> Result<(), Error> {
        self.outcome.as_mut().await
    }

    /// Tries again after a pause. Whether the last attempt arrived is unknown, so the log is asked first; and asked once
    /// more if this attempt is refused, because the last one may have arrived in the meantime.
    pub(super) fn retry(mut self, repository: &Arc<dyn TaskRepository>) -> Self {
        let (repository, write, pause) = (repository.clone(), self.write.clone(), self.pause);
        let trail = self.trail.clone();
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.outcome = Box::pin(async move {
            tokio::time::sleep(pause).await;
            let again = async {
                if arrived(&repository, &write).await? {
                    return Ok(());
                }
                match repository.commit(write.clone()).await {
                    Err(Error::Stale | Error::KeyTaken(_)) if arrived(&repository, &write).await? => Ok(()),
                    outcome => outcome,
                }
            };
            trail.along(again).await
        });
        self
    }

    /// Tries again without idempotency keys, one of which another task holds.
    pub(super) fn without_key(mut self, repository: &Arc<dyn TaskRepository>) -> Self {
        self.write.keys.clear();
        Self {
            repeated: self.repeated,
            ..Self::start(repository, self.write, self.trail, self.accepted, self.task)
        }
    }

    pub(super) fn creates(&self) -> bool {
        self.write.expected_generation == 0
    }

    /// True for a write of one event and nothing else.
    pub(super) fn is_single(&self) -> bool {
        self.write.events.len() == 1
    }

    /// True if this writer holds the task behind this write.
    pub(super) fn is_held(&self) -> bool {
        self.write.lease != Lease::Released
    }

    pub(super) fn generation(&self) -> u64 {
        self.write.generation()
    }

    pub(super) fn events(&self) -> &[Arc<TaskEvent>] {
        &self.write.events
    }
}

/// Whether the log holds exactly the events of this write where it should.
async fn arrived(repository: &Arc<dyn TaskRepository>, write: &TaskWrite) -> Result<bool, Error> {
    let limit = write.events.len();
    let stored = match repository
        .events(&write.scope, &write.task_id, write.expected_generation, limit)
        .await
    {
        // Another writer has gone on, and retention has followed it: the commit says that this one is stale.
        Err(Error::Expired { .. }) => return Ok(false),
        stored => stored?,
    };
    Ok(stored.len() == limit
        && stored
            .iter()
            .zip(&write.events)
            .all(|(stored, ours)| **stored == **ours))
}

//! The changes of a task's state, from the update that makes one to its audit record: places for the records are taken
//! before a write is sent, and used when it has arrived.

use std::sync::Arc;

use crate::audit::{Audit, Author, Outcome, Place, StateChange, TaskChanges};
use crate::pb::TaskState;
use crate::repository::{Error, TaskWrite};

/// Changes of one task's state that wait for the write that they are in.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<StateChange>);

impl Changes {
    /// Notes that event `generation` changes the state; a new task has none before.
    pub(super) fn note(&mut self, generation: u64, from: Option<TaskState>, to: TaskState, author: &Author) {
        self.0.push(StateChange {
            generation,
            from,
            to,
            author: author.clone(),
        });
    }
}

/// The changes of a task's state that a write holds, if there are any.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    audit: Audit,
    task: Option<Arc<TaskChanges>>,
}

impl Trail {
    pub(super) fn of(audit: &Audit, write: &TaskWrite, Changes(changes): Changes) -> Self {
        let is_of_use = audit.is_on() && !changes.is_empty();
        let task = is_of_use.then(|| TaskChanges {
            scope: write.scope.clone(),
            task_id: write.task_id.clone(),
            context_id: write.context_id.clone(),
            changes,
        });
        Self {
            audit: audit.clone(),
            task: task.map(Arc::new),
        }
    }

    /// Sends the write, and records its changes once it has arrived. What could not be recorded is not written: to its
    /// writer that is a database that is away. Of a write that is given up on its way, as all are when the process has to
    /// stop at once, nobody knows whether it arrives: that is recorded.
    pub(super) async fn along(&self, commit: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let pending = self.pending()?;
        let outcome = commit.await;
        pending.ends(outcome.is_ok().then_some(Outcome::Ok));
        outcome
    }

    /// The same for a write that nobody repeats: what nobody knows of is recorded as that.
    pub(super) async fn along_once(
        &self,
        commit: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let pending = self.pending()?;
        let outcome = commit.await;
        pending.ends(match outcome {
            Ok(()) => Some(Outcome::Ok),
            Err(Error::Unavailable(_)) => Some(Outcome::Unknown),
            Err(_) => None,
        });
        outcome
    }

    fn pending(&self) -> Result<Pending<'_>, Error> {
        let place = |task: &'_ Arc<TaskChanges>| self.audit.place(task.changes.len());
        let place = self.task.as_ref().map(place).transpose();
        Ok(Pending {
            task: self.task.as_ref(),
            place: place.map_err(|error| Error::Unavailable(error.to_string()))?,
        })
    }
}

/// The place of a write that is on its way.
struct Pending<'a> {
    task: Option<&'a Arc<TaskChanges>>,
    place: Option<Place>,
}

impl Pending<'_> {
    /// It has come to an end; without an outcome there is nothing to record.
    fn ends(mut self, outcome: Option<Outcome>) {
        let place = self.place.take();
        if let Some(outcome) = outcome {
            self.record(place, outcome);
        }
    }

    fn record(&self, place: Option<Place>, outcome: Outcome) {
        if let (Some(task), Some(place)) = (self.task, place) {
            place.record(task, outcome);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let place = self.place.take();
        self.record(place, Outcome::Unknown);
    }
}

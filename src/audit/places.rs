//! Places for changes of a task's state: taken before a write is sent, used when it has arrived.

use std::sync::Arc;

use tokio::sync::mpsc::OwnedPermit;

use super::entry::{Entry, State, StateChange, What};
use super::handle::Audit;
use super::record::Outcome;
use crate::clock::Clock;
use crate::context::Scope;
use crate::error::Error;

/// Places for changes of a task's state; dropping them records nothing.
#[must_use]
pub struct Places {
    places: Vec<OwnedPermit<Entry>>,
    clock: Option<Clock>,
}

impl Audit {
    /// Takes places for the records of so many changes of a task's state, before they are committed.
    ///
    /// # Errors
    /// UNAVAILABLE when they could not be recorded, and have to be.
    pub fn places(&self, count: usize) -> Result<Places, Error> {
        let mut places = Places {
            places: Vec::with_capacity(count),
            clock: None,
        };
        let Some(shared) = &self.0 else { return Ok(places) };
        places.clock = Some(shared.clock().clone());
        for _ in 0..count {
            places.places.extend(shared.place()?);
        }
        Ok(places)
    }
}

impl Places {
    /// Records the changes of one task that are committed, or of which nobody knows.
    pub(crate) fn record(
        self,
        scope: &Scope,
        (task_id, context_id): (&Arc<str>, &Arc<str>),
        changes: &[StateChange],
        outcome: Outcome,
    ) {
        let Some(clock) = self.clock else { return };
        let at_ms = clock.now_ms();
        for (place, change) in self.places.into_iter().zip(changes) {
            let state = State {
                agent: scope.agent.clone(),
                owner: scope.owner.clone(),
                task_id: task_id.clone(),
                context_id: context_id.clone(),
                change: change.clone(),
                outcome,
            };
            let what = What::State(Box::new(state));
            place.send(Entry { at_ms, what });
        }
    }
}

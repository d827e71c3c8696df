//! Places for changes of a task's state: taken before a write is sent, used when it has arrived.

use std::sync::Arc;

use tokio::sync::mpsc::OwnedPermit;

use super::entry::{Entry, TaskChanges, What};
use super::handle::Audit;
use super::record::Outcome;
use crate::clock::Clock;
use crate::error::Error;

/// The place for the changes that a write holds; dropping it records nothing.
#[must_use]
pub struct Place(Option<(OwnedPermit<Entry>, Clock)>);

impl Audit {
    /// Takes the place for so many changes of a task's state, before they are committed.
    ///
    /// # Errors
    /// UNAVAILABLE when they could not be recorded, and have to be.
    pub fn place(&self, changes: usize) -> Result<Place, Error> {
        let Some(shared) = &self.0 else {
            return Ok(Place(None));
        };
        let place = shared.place(changes as u64)?;
        Ok(Place(place.map(|place| (place, shared.clock().clone()))))
    }
}

impl Place {
    /// Records the changes that are committed, or of which nobody knows.
    pub(crate) fn record(self, task: &Arc<TaskChanges>, outcome: Outcome) {
        if let Some((place, clock)) = self.0 {
            let what = What::Changes(task.clone(), outcome);
            place.send(Entry {
                at_ms: clock.now_ms(),
                what,
            });
        }
    }
}

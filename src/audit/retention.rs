//! The record of a pass of retention.

use tokio::sync::mpsc::OwnedPermit;

use super::entry::{Entry, Pass, What};
use super::handle::Audit;
use super::record::{Outcome, Removed};
use crate::clock::Clock;
use crate::error::Error;

/// The record of a pass that is under way. Dropped before its end it says that more may be gone than it knows of.
#[must_use]
pub struct RetentionRecord {
    place: Option<(OwnedPermit<Entry>, Clock)>,
    /// What is gone so far.
    pub removed: Removed,
    outcome: Outcome,
}

impl Audit {
    /// Opens the record of a pass.
    ///
    /// # Errors
    /// UNAVAILABLE when it could not be recorded, and has to be.
    pub fn retention(&self) -> Result<RetentionRecord, Error> {
        let place = match &self.0 {
            Some(shared) => shared
                .place_of_call()?
                .map(|place| (place, shared.clock().clone())),
            None => None,
        };
        Ok(RetentionRecord {
            place,
            removed: Removed::default(),
            outcome: Outcome::Abandoned,
        })
    }
}

impl RetentionRecord {
    /// The pass came to its end; if nothing was removed there is no record.
    pub fn ends(mut self) {
        self.outcome = Outcome::Ok;
        if self.removed == Removed::default() {
            self.place = None;
        }
    }

    /// The database gave no answer, or a bad one: more may be gone.
    pub fn fails(mut self) {
        self.outcome = Outcome::Unknown;
    }
}

impl Drop for RetentionRecord {
    fn drop(&mut self) {
        if let Some((place, clock)) = self.place.take() {
            let pass = Pass {
                removed: self.removed,
                outcome: self.outcome,
            };
            let at_ms = clock.now_ms();
            let what = What::Retention(pass);
            place.send(Entry { at_ms, what });
        }
    }
}

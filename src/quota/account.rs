//! The quotas that one call has to keep to.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::Bucket;
use super::tally::{Counted, Permit, Subject, Tally, refusal};
use crate::error::Error;

/// When to try again where it is others who have to end something first.
const LATER: Duration = Duration::from_secs(1);

/// The quotas of a call: its caller's, its agent's, its organisation's, as far as they have some. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub(super) tallies: [Option<Arc<Tally>>; 3],
}

impl Account {
    fn each(&self) -> impl Iterator<Item = &Arc<Tally>> {
        self.tallies.iter().flatten()
    }

    /// The time on the clock of all buckets; asked for once, because asking costs more than the rest. None without any.
    fn now_ns(&self) -> Option<u64> {
        self.each().next().map(|tally| tally.now_ns())
    }

    /// Takes one request from all, or from none; bytes have to be left.
    pub(super) fn take_request(&self) -> Result<(), Error> {
        let Some(now_ns) = self.now_ns() else {
            return Ok(());
        };
        self.check_bytes_at(now_ns)?;
        for (at, tally) in self.each().enumerate() {
            let Some(requests) = &tally.requests else { continue };
            if let Err(wait) = requests.take(now_ns) {
                let taken = self.each().take(at).filter_map(|tally| tally.requests.as_ref());
                taken.for_each(Bucket::give_back);
                return Err(refusal(
                    tally.subject,
                    "requests_per_minute",
                    requests.per_minute(),
                    "requests a minute",
                    wait,
                ));
            }
        }
        Ok(())
    }

    /// Whether bytes are left, be it one: what is used beyond them is owed.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED with the time until there are some again.
    pub fn check_bytes(&self) -> Result<(), Error> {
        self.now_ns().map_or(Ok(()), |now_ns| self.check_bytes_at(now_ns))
    }

    fn check_bytes_at(&self, now_ns: u64) -> Result<(), Error> {
        for tally in self.each() {
            let Some(bytes) = &tally.bytes else { continue };
            bytes.check(now_ns).map_err(|wait| {
                let limit = bytes.per_minute();
                refusal(tally.subject, "bytes_per_minute", limit, "bytes a minute", wait)
            })?;
        }
        Ok(())
    }

    /// Charges bytes that have been received or sent.
    pub fn charge_bytes(&self, count: u64) {
        let Some(now_ns) = self.now_ns() else { return };
        for bytes in self.each().filter_map(|tally| tally.bytes.as_ref()) {
            bytes.charge(now_ns, count);
        }
    }

    /// True if somebody's bytes are counted.
    pub fn counts_bytes(&self) -> bool {
        self.each().any(|tally| tally.bytes.is_some())
    }

    /// Counts one more stream for as long as the permit exists.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when as many are open as may.
    pub fn open_stream(&self) -> Result<Permit, Error> {
        self.enter(Counted::Streams, "streams_max", "open streams", |tally| {
            tally.quota.streams_max
        })
    }

    /// Counts one more execution for as long as the permit exists.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when as many run or wait as may.
    pub fn execute(&self) -> Result<Permit, Error> {
        self.enter(
            Counted::Executions,
            "executions_max",
            "executions that run or wait",
            |tally| tally.quota.executions_max,
        )
    }

    fn enter(
        &self,
        counted: Counted,
        quota: &'static str,
        what: &str,
        max_of: impl Fn(&Tally) -> usize,
    ) -> Result<Permit, Error> {
        let mut permit = Permit::of(counted);
        for tally in self.each() {
            let max = max_of(tally);
            if max > 0 && permit.enter(tally) >= max {
                return Err(refusal(tally.subject, quota, max as u64, what, LATER));
            }
        }
        Ok(permit)
    }

    /// Announces a task that is about to be stored, and says how many may be open with it. What a caller has under way is
    /// counted where its stored tasks are, which is with their owner. `None` where open tasks have no limit.
    pub(super) fn open_task(&self, of_owner: Option<&Arc<Tally>>) -> Option<Opening> {
        let mut opening = Opening {
            permit: Permit::of(Counted::Openings),
            limits: Vec::new(),
        };
        for tally in self.each().filter(|tally| tally.quota.open_tasks_max > 0) {
            let counted = match tally.subject {
                Subject::Principal => of_owner.unwrap_or(tally),
                Subject::Agent | Subject::Organisation => tally,
            };
            opening.limits.push(OpenLimit {
                subject: tally.subject,
                max: tally.quota.open_tasks_max,
                ahead: opening.permit.enter(counted),
            });
        }
        (!opening.limits.is_empty()).then_some(opening)
    }
}

/// A task that is about to be stored.
#[derive(Debug)]
pub struct Opening {
    /// Counts it until it is stored: hold it for as long as nobody who counts stored tasks finds it.
    pub permit: Permit,
    /// What has to hold for it.
    pub limits: Vec<OpenLimit>,
}

/// How many tasks a subject may have open.
#[derive(Clone, Copy, Debug)]
pub struct OpenLimit {
    /// Whose limit it is.
    pub subject: Subject,
    /// Open tasks at most.
    pub max: usize,
    /// Tasks that were on their way before this one. To be read before the stored ones are counted: one that is stored in
    /// between is counted twice then, and none is missed.
    pub ahead: usize,
}

impl OpenLimit {
    /// Whether one more may be opened beside those that are stored.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED.
    pub fn check(&self, stored: usize) -> Result<(), Error> {
        if stored.saturating_add(self.ahead) < self.max {
            return Ok(());
        }
        let what = "open tasks; end or cancel some";
        let max = self.max as u64;
        Err(refusal(self.subject, "open_tasks_max", max, what, LATER))
    }
}

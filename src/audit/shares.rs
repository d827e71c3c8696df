//! How much of the queue each caller has taken: one who calls and calls must not take the places of the others.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;

use crate::access::Principal;
use crate::error::{Error, Kind};

/// When to try again: records are written within milliseconds, unless they are many.
const LATER: Duration = Duration::from_secs(1);

/// The records of calls that are under way or in the queue, by caller. Callers without one are not kept, so that there are
/// never more of them than places in the queue.
#[derive(Debug)]
pub(super) struct Shares {
    each_max: usize,
    taken: DashMap<Principal, usize>,
}

impl Shares {
    pub(super) fn new(each_max: usize) -> Arc<Self> {
        Arc::new(Self {
            each_max: each_max.max(1),
            taken: DashMap::new(),
        })
    }

    /// Counts one more record of a caller for as long as the share exists; `None` when it has as many as it may.
    pub(super) fn take(self: &Arc<Self>, caller: &Principal) -> Option<Share> {
        let mut taken = self.taken.entry(caller.clone()).or_insert(0);
        if *taken >= self.each_max {
            return None;
        }
        *taken += 1;
        Some(Share {
            of: self.clone(),
            caller: caller.clone(),
        })
    }

    /// The answer to who has taken its share.
    pub(super) fn refusal(&self) -> Error {
        let max = self.each_max;
        let message = format!(
            "{max} audit records of this caller wait to be written, and no more may (audit.queue_per_caller_max); \
             try again in a moment, with fewer calls at once"
        );
        Error {
            retry_after: Some(LATER),
            ..Error::new(Kind::ResourceExhausted, message)
        }
        .with("quota", "queue_per_caller_max")
        .with("limit", max.to_string())
        .with("subject", "principal")
    }
}

/// A place that a caller has taken.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    caller: Principal,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.remove_if_mut(&self.caller, |_, taken| {
            *taken = taken.saturating_sub(1);
            *taken == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_ends_with_its_record_and_nobody_is_kept_without_one() {
        let shares = Shares::new(2);
        let (ada, bob) = (Principal::verified("ada"), Principal::verified("bob"));
        let (one, two) = (shares.take(&ada), shares.take(&ada));
        assert!(one.is_some() && two.is_some() && shares.take(&ada).is_none());
        assert!(shares.take(&bob).is_some(), "another's share");
        drop(one);
        let three = shares.take(&ada);
        assert!(three.is_some() && shares.take(&ada).is_none());
        drop((two, three));
        assert!(shares.taken.is_empty());
    }
}

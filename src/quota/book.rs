//! The tallies of all subjects of one kind: as many as are in use, and never more than a limit.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::Quota;
use super::tally::{Subject, Tally};

/// Fewer tallies than this are not worth looking for idle ones.
const SWEEP_FROM: usize = 1_024;

/// A full book is not searched more often: a flood of new names must not make every call cost a search.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// The tallies by name.
#[derive(Debug)]
pub(super) struct Book<K: Eq + Hash> {
    subject: Subject,
    tallies: DashMap<K, Arc<Tally>>,
    keys_max: usize,
    /// The tally of all for whom there is no room.
    others: Arc<Tally>,
    sweeps: Mutex<Sweeps>,
    began: Instant,
}

/// When idle tallies are dropped: whenever there are twice as many as were in use at the last look, so that a look costs
/// each new name little.
#[derive(Debug)]
struct Sweeps {
    at_len: usize,
    last: Option<Instant>,
}

impl<K: Eq + Hash + Clone> Book<K> {
    pub(super) fn new(subject: Subject, each: Quota, keys_max: usize, began: Instant) -> Self {
        Self {
            subject,
            tallies: DashMap::new(),
            keys_max,
            others: Tally::new(subject, each, began),
            sweeps: Mutex::new(Sweeps {
                at_len: SWEEP_FROM.min(keys_max),
                last: None,
            }),
            began,
        }
    }

    /// The tally of `key`. Where no more fit, those who have no quota by name share one, which is as large as that of each.
    pub(super) fn tally(&self, key: &K, named: Option<Quota>) -> Arc<Tally> {
        if let Some(found) = self.tallies.get(key) {
            return found.clone();
        }
        let mut sweeps = self.sweeps.lock().unwrap_or_else(PoisonError::into_inner);
        if self.tallies.len() >= sweeps.at_len {
            self.sweep(&mut sweeps);
        }
        // Those who are named are as many as the configuration names.
        if named.is_none() && self.tallies.len() >= self.keys_max {
            return self.others.clone();
        }
        let quota = named.unwrap_or(self.others.quota);
        let new = || Tally::new(self.subject, quota, self.began);
        self.tallies.entry(key.clone()).or_insert_with(new).clone()
    }

    fn sweep(&self, sweeps: &mut Sweeps) {
        let is_early = |last: Instant| last.elapsed() < SWEEP_PAUSE;
        if self.tallies.len() >= self.keys_max && sweeps.last.is_some_and(is_early) {
            return;
        }
        sweeps.last = Some(Instant::now());
        // Whoever holds one may be about to use it.
        self.tallies
            .retain(|_, tally| Arc::strong_count(tally) > 1 || !tally.is_idle());
        sweeps.at_len = (2 * self.tallies.len()).max(SWEEP_FROM).min(self.keys_max);
    }

    /// How many subjects are kept apart now.
    pub(super) fn len(&self) -> usize {
        self.tallies.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Rate;

    fn quota(burst: u64) -> Quota {
        Quota {
            requests: Rate {
                per_minute: 60,
                burst,
            },
            ..Quota::default()
        }
    }

    fn take(book: &Book<usize>, key: usize) -> bool {
        let tally = book.tally(&key, None);
        let now_ns = tally.now_ns();
        tally.requests.as_ref().unwrap().take(now_ns).is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_names_leave_as_many_as_may_be_kept() {
        let book = Book::new(Subject::Principal, quota(1), 1_500, Instant::now());
        let mut taken = 0;
        for key in 0..100_000 {
            taken += usize::from(take(&book, key));
            assert!(book.len() <= 1_500);
        }
        // Who found no room shared one quota of 1.
        assert_eq!((taken, book.len()), (1_501, 1_500));
        // Those who have one are not disturbed, and have used it up.
        assert!(!take(&book, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_idle_make_room() {
        let book = Book::new(Subject::Principal, quota(1), 1_500, Instant::now());
        for key in 0..1_500 {
            assert!(take(&book, key));
        }
        let held = book.tally(&7, None);
        assert!(take(&book, 2_000), "the shared one");
        assert!(!take(&book, 2_001));
        tokio::time::advance(Duration::from_secs(2)).await;
        for key in 3_000..4_400 {
            assert!(take(&book, key), "{key}");
        }
        assert_eq!(book.len(), 1_401);
        assert!(Arc::ptr_eq(&held, &book.tally(&7, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_named_always_has_a_quota_of_its_own() {
        let book = Book::new(Subject::Principal, quota(1), 1, Instant::now());
        let first = book.tally(&1, None);
        let named = book.tally(&2, Some(quota(9)));
        let shared = book.tally(&3, None);
        assert!(!Arc::ptr_eq(&first, &shared) && !Arc::ptr_eq(&named, &shared));
        assert_eq!((named.quota, shared.quota), (quota(9), quota(1)));
        assert!(Arc::ptr_eq(&shared, &book.tally(&4, None)));
    }
}

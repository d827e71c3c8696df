//! How much is under way for each owner and to each host: nobody has more than a share of it.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PushSettings;
use crate::context::Principal;

/// The places of everything that is under way.
pub(super) struct Shares {
    counts: Mutex<Counts>,
    most: usize,
}

struct Counts {
    all: usize,
    owners: Share<Principal>,
    hosts: Share<Arc<str>>,
}

/// Of one kind: how much each has, and who had too much when it was counted last.
struct Share<K> {
    held: HashMap<K, usize>,
    full: HashSet<K>,
    most: usize,
}

/// One place; it is free again when this is dropped.
pub(super) struct Place {
    shares: Arc<Shares>,
    owner: Principal,
    host: Arc<str>,
}

impl Shares {
    pub(super) fn new(settings: &PushSettings) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::new(Counts {
                all: 0,
                owners: Share::new(settings.requests_per_owner_max),
                hosts: Share::new(settings.requests_per_host_max),
            }),
            most: settings.requests_max,
        })
    }

    /// How many more may be under way.
    pub(super) fn free(&self) -> usize {
        self.most.saturating_sub(self.lock().all)
    }

    /// How many streams are claimed at once at most. All of them may be of one owner and for one host: half of a share is
    /// what is free when it is claimed for, and what has no place is claimed for nothing.
    pub(super) fn step(&self) -> usize {
        let counts = self.lock();
        (counts.owners.most.min(counts.hosts.most) / 2).max(1)
    }

    /// How many are under way.
    pub(super) fn held(&self) -> usize {
        self.lock().all
    }

    /// A place, if the owner and the host have not their share already.
    pub(super) fn enter(self: &Arc<Self>, owner: &Principal, host: &Arc<str>) -> Option<Place> {
        let mut counts = self.lock();
        // Both, so that both are known to be full if they are.
        let (has_owner, has_host) = (counts.owners.has_room(owner), counts.hosts.has_room(host));
        if counts.all >= self.most || !has_owner || !has_host {
            return None;
        }
        counts.all += 1;
        counts.owners.add(owner);
        counts.hosts.add(host);
        Some(Place {
            shares: self.clone(),
            owner: owner.clone(),
            host: host.clone(),
        })
    }

    /// The owners and the hosts that have their share: nothing of theirs is to be claimed. Once full they stay so until
    /// half of it is free, so that claims don't bring back for each free place as much as fits into one.
    pub(super) fn full(&self) -> (Vec<Principal>, Vec<Arc<str>>) {
        let counts = self.lock();
        (
            counts.owners.full.iter().cloned().collect(),
            counts.hosts.full.iter().cloned().collect(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Share<K> {
    fn new(most: usize) -> Self {
        Self {
            held: HashMap::new(),
            full: HashSet::new(),
            most,
        }
    }

    fn has_room(&mut self, key: &K) -> bool {
        let has_room = self.held.get(key).copied().unwrap_or(0) < self.most;
        if !has_room {
            self.full.insert(key.clone());
        }
        has_room
    }

    fn add(&mut self, key: &K) {
        let held = self.held.entry(key.clone()).or_default();
        *held += 1;
        if *held >= self.most {
            self.full.insert(key.clone());
        }
    }

    fn remove(&mut self, key: &K) {
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        *held = held.saturating_sub(1);
        let left = *held;
        if left == 0 {
            self.held.remove(key);
        }
        if left <= self.most / 2 {
            self.full.remove(key);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.shares.lock();
        counts.all -= 1;
        counts.owners.remove(&self.owner);
        counts.hosts.remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Principal {
        Principal::verified(name)
    }

    fn shares(all: usize, per_owner: usize, per_host: usize) -> Arc<Shares> {
        Shares::new(&PushSettings {
            requests_max: all,
            requests_per_owner_max: per_owner,
            requests_per_host_max: per_host,
            ..PushSettings::default()
        })
    }

    #[test]
    fn an_owner_and_a_host_have_no_more_than_their_share() {
        let shares = shares(10, 2, 3);
        let (a, b) = (owner("a"), owner("b"));
        let (x, y): (Arc<str>, Arc<str>) = (Arc::from("x:1"), Arc::from("y:1"));
        let mut places = vec![shares.enter(&a, &x).unwrap(), shares.enter(&a, &y).unwrap()];
        assert!(shares.enter(&a, &x).is_none());
        places.extend(shares.enter(&b, &x));
        assert_eq!(shares.full(), (vec![a.clone()], vec![]));
        places.extend(shares.enter(&owner("c"), &x));
        assert!(shares.enter(&owner("d"), &x).is_none());
        assert_eq!((shares.held(), shares.full().1), (4, vec![x.clone()]));
        drop(places);
        assert_eq!((shares.held(), shares.full()), (0, (vec![], vec![])));
        assert!(shares.lock().owners.held.is_empty() && shares.lock().hosts.held.is_empty());
    }

    #[test]
    fn a_claim_is_half_of_the_smaller_share() {
        assert_eq!(shares(100, 8, 20).step(), 4);
        assert_eq!(shares(100, 20, 6).step(), 3);
        assert_eq!(shares(100, 1, 20).step(), 1);
    }

    #[test]
    fn all_of_them_together_have_a_limit() {
        let shares = shares(3, 10, 10);
        let host: Arc<str> = Arc::from("x:1");
        let places: Vec<_> = (0..3).filter_map(|_| shares.enter(&owner("a"), &host)).collect();
        assert_eq!((places.len(), shares.free()), (3, 0));
        assert!(shares.enter(&owner("b"), &host).is_none());
    }

    #[test]
    fn whoever_was_full_gets_claims_again_when_half_is_free() {
        let shares = shares(100, 4, 100);
        let (a, host): (_, Arc<str>) = (owner("a"), Arc::from("x:1"));
        let mut places: Vec<_> = (0..4).filter_map(|_| shares.enter(&a, &host)).collect();
        assert_eq!(shares.full().0, std::slice::from_ref(&a));
        places.pop();
        assert_eq!(shares.full().0, std::slice::from_ref(&a));
        places.pop();
        assert!(shares.full().0.is_empty());
    }
}

//! Idempotency keys in memory, found by their names, by their tasks and by when they expire.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::context::Scope;
use crate::repository::{Error, IdempotencyKey, KnownKey, TaskWrite};

/// For each key that is bound, so many that have expired are forgotten: they go faster than they come.
const FORGOTTEN_FOR_EACH: usize = 2;

type Place = (Scope, Arc<str>);

/// All keys that are bound.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bound: HashMap<Place, Bound>,
    /// Keys that expire in the same millisecond are told apart by a number.
    by_expiry: BTreeMap<(i64, u64), Place>,
    of_task: HashMap<String, HashSet<Place>>,
    next: u64,
}

#[derive(Debug)]
struct Bound {
    known: KnownKey,
    expiry: (i64, u64),
}

impl Keys {
    /// Binds all keys of a write, or none; then some that have expired at `now_ms` are forgotten.
    pub(super) fn bind(&mut self, write: &TaskWrite, now_ms: i64) -> Result<(), Error> {
        let place = |key: &IdempotencyKey| (write.scope.clone(), key.key.clone());
        for key in &write.keys {
            if let Some(known) = self.known(&place(key), write.status_ms) {
                return Err(Error::KeyTaken(known.task_id.clone()));
            }
        }
        for key in &write.keys {
            let place = place(key);
            self.forget(&place);
            self.next += 1;
            let expiry = (key.expires_ms, self.next);
            let known = KnownKey {
                task_id: write.task_id.to_string(),
                fingerprint: key.fingerprint,
            };
            self.by_expiry.insert(expiry, place.clone());
            let of_task = self.of_task.entry(known.task_id.clone()).or_default();
            of_task.insert(place.clone());
            self.bound.insert(place, Bound { known, expiry });
        }
        self.forget_expired(now_ms, FORGOTTEN_FOR_EACH * write.keys.len());
        Ok(())
    }

    /// The task of a key that has not expired.
    pub(super) fn known(&self, place: &Place, now_ms: i64) -> Option<&KnownKey> {
        let bound = self.bound.get(place).filter(|bound| bound.expiry.0 > now_ms);
        bound.map(|bound| &bound.known)
    }

    /// Forgets the keys of a task.
    pub(super) fn remove_task(&mut self, task_id: &str) {
        for place in self.of_task.remove(task_id).unwrap_or_default() {
            self.forget(&place);
        }
    }

    fn forget_expired(&mut self, now_ms: i64, most: usize) {
        for _ in 0..most {
            let oldest = self.by_expiry.first_key_value();
            let Some((_, place)) = oldest.filter(|((expires_ms, _), _)| *expires_ms <= now_ms) else {
                return;
            };
            let place = place.clone();
            self.forget(&place);
        }
    }

    fn forget(&mut self, place: &Place) {
        let Some(bound) = self.bound.remove(place) else {
            return;
        };
        self.by_expiry.remove(&bound.expiry);
        if let Some(of_task) = self.of_task.get_mut(&bound.known.task_id) {
            of_task.remove(place);
            if of_task.is_empty() {
                self.of_task.remove(&bound.known.task_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::conformance::{NOW_MS, Sketch, key, scope};

    fn write(n: i64) -> TaskWrite {
        let scope = scope("ada");
        let name = format!("k{n}");
        TaskWrite {
            keys: vec![IdempotencyKey {
                expires_ms: NOW_MS + n + 100,
                ..key(&name)
            }],
            status_ms: NOW_MS + n,
            ..Sketch::new(&scope, &format!("t{n}")).create()
        }
    }

    fn sizes(keys: &Keys) -> [usize; 3] {
        [keys.bound.len(), keys.by_expiry.len(), keys.of_task.len()]
    }

    #[test]
    fn expired_keys_go_while_others_come() {
        let mut keys = Keys::default();
        for n in 0..10_000 {
            assert_eq!(keys.bind(&write(n), NOW_MS + n), Ok(()));
        }
        assert_eq!(sizes(&keys), [100, 100, 100]);
    }

    #[test]
    fn the_keys_of_a_task_go_with_it() {
        let mut keys = Keys::default();
        for n in 0..10 {
            keys.bind(&write(n), NOW_MS + n).unwrap();
        }
        // Bound anew by another task once it has expired.
        let again = TaskWrite {
            task_id: Arc::from("later"),
            status_ms: NOW_MS + 100,
            keys: vec![key("k0")],
            ..write(0)
        };
        keys.bind(&again, NOW_MS + 100).unwrap();
        assert_eq!(sizes(&keys), [10, 10, 10]);
        keys.remove_task("t0");
        assert_eq!(sizes(&keys), [10, 10, 10]);
        for task_id in ["later", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"] {
            keys.remove_task(task_id);
        }
        assert_eq!(sizes(&keys), [0, 0, 0]);
    }
}

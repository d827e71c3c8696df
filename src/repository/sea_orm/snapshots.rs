//! Large snapshots, in memory as they were written or read last.
//!
//! A snapshot never changes: the committed events up to a generation are what they are. So who asks for a long task
//! again, or sends it one more message, pays for its newest events and for decoding it, and not for moving megabytes out
//! of the database once more. What a reader has made of a snapshot and many events is kept likewise.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::repository::StoredTask;

/// Smaller ones cost little more to read than the rows that they stand in.
const KEPT_MIN: usize = 32 * 1024;

/// An encoded `Task` as it was after event `generation`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) generation: u64,
    pub(super) encoded: Bytes,
}

#[derive(Clone)]
struct InBytes;

impl Weighter<Arc<str>, Snapshot> for InBytes {
    fn weight(&self, task_id: &Arc<str>, snapshot: &Snapshot) -> u64 {
        (task_id.len() + size_of::<Snapshot>() + snapshot.encoded.len()) as u64
    }
}

/// The snapshots that are kept, at most one for a task.
#[derive(Debug)]
pub(super) struct Snapshots {
    bytes_max: u64,
    /// One lock and no shards: each shard would be too small for what this is for.
    kept: Mutex<Cache<Arc<str>, Snapshot, InBytes>>,
}

impl Snapshots {
    /// Room for so many bytes; with none, nothing is kept.
    pub(super) fn new(bytes_max: u64) -> Self {
        let tasks = usize::try_from(bytes_max).unwrap_or(usize::MAX) / KEPT_MIN;
        let kept = Cache::with_weighter(tasks.clamp(1, 1_024), bytes_max, InBytes);
        Self {
            bytes_max,
            kept: Mutex::new(kept),
        }
    }

    /// The snapshot that is kept of a task. Whether it is the newest one is for the database to say.
    pub(super) fn of(&self, task_id: &str) -> Option<Snapshot> {
        if self.bytes_max == 0 {
            return None;
        }
        self.lock().get(task_id).cloned()
    }

    /// Keeps what was written or read, if it is large and no newer one is there.
    pub(super) fn keep(&self, task_id: &str, snapshot: &Snapshot) {
        if self.bytes_max == 0 || snapshot.encoded.len() < KEPT_MIN {
            return;
        }
        let mut kept = self.lock();
        let newer = |other: &Snapshot| other.generation >= snapshot.generation;
        if !kept.peek(task_id).is_some_and(newer) {
            kept.insert(Arc::from(task_id), snapshot.clone());
        }
    }

    /// Keeps what a reader has made of a snapshot and many events.
    pub(super) fn keep_folded(&self, stored: &StoredTask) {
        if self.bytes_max == 0 || stored.task.encoded_len() < KEPT_MIN {
            return;
        }
        let snapshot = Snapshot {
            generation: stored.generation,
            encoded: Bytes::from(stored.task.encode_to_vec()),
        };
        self.keep(&stored.task.id, &snapshot);
    }

    /// Lets go of a task that is removed, or was put back.
    pub(super) fn forget(&self, task_id: &str) {
        if self.bytes_max > 0 {
            self.lock().remove(task_id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache<Arc<str>, Snapshot, InBytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn snapshot(generation: u64, bytes: usize) -> Snapshot {
        Snapshot {
            generation,
            encoded: Bytes::from(vec![7; bytes]),
        }
    }

    #[test]
    fn the_newest_snapshot_of_a_task_is_kept_if_it_is_large() {
        let snapshots = Snapshots::new(MIB);
        snapshots.keep("small", &snapshot(1, KEPT_MIN - 1));
        assert_eq!(snapshots.of("small"), None);
        snapshots.keep("t", &snapshot(5, KEPT_MIN));
        snapshots.keep("t", &snapshot(3, KEPT_MIN));
        assert_eq!(snapshots.of("t"), Some(snapshot(5, KEPT_MIN)));
        snapshots.keep("t", &snapshot(8, KEPT_MIN));
        assert_eq!(snapshots.of("t"), Some(snapshot(8, KEPT_MIN)));
        snapshots.forget("t");
        assert_eq!(snapshots.of("t"), None);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let snapshots = Snapshots::new(MIB);
        for number in 0..1_000 {
            snapshots.keep(&number.to_string(), &snapshot(1, KEPT_MIN));
            assert!(snapshots.lock().weight() <= MIB, "{number}");
        }
        assert!(snapshots.lock().weight() > MIB / 2, "the room is used");
        snapshots.keep("larger than all of it", &snapshot(1, 2 * MIB as usize));
        assert_eq!(snapshots.of("larger than all of it"), None);
        snapshots.keep("as large as most of it", &snapshot(1, MIB as usize / 4 * 3));
        assert!(snapshots.lock().weight() <= MIB);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let snapshots = Snapshots::new(0);
        snapshots.keep("t", &snapshot(1, KEPT_MIN));
        assert_eq!(snapshots.of("t"), None);
    }
}

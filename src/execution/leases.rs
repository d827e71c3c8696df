//! The leases that this process holds, renewed together by one heartbeat.
//!
//! A lease says who may write a task, and nothing else. A process that is cut off from its database loses it without
//! knowing: its agents run on, and so does whatever they do elsewhere, but what they write to the task is refused. When
//! the database answers again and says so, the executions are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::Executions;
use crate::repository::{Error, TaskRepository};

/// Leases that are renewed by one call: a few statements, so that tasks don't wait for the heartbeat for long.
const RENEWED_AT_ONCE: usize = 1_024;
/// Heartbeats in the life of a lease. Two may fail: the third one behind the last that came through is over at the very
/// end of the lease.
const BEATS_PER_LEASE: u32 = 4;

/// The tasks that are held, or will be when their commit is through.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: DashMap<Arc<str>, Lease>,
    claims: AtomicU64,
    /// Taken by a beat, and by whoever hands a lease back: the last word of the two must be that it is free.
    beat: Mutex<()>,
    /// No beat goes out any more.
    ended: CancellationToken,
}

#[derive(Debug)]
struct Lease {
    claim: u64,
    /// That of the row, as soon as it is known to have it.
    epoch: Option<u64>,
    lost: CancellationToken,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    leases: Arc<Leases>,
    task_id: Arc<str>,
    claim: u64,
    lost: CancellationToken,
}

impl Leases {
    /// Holds a task whose row has the lease and this epoch.
    pub(super) fn hold(self: &Arc<Self>, task_id: &Arc<str>, epoch: u64) -> Held {
        let held = self.claim(task_id);
        held.begin(epoch);
        held
    }

    /// Says that a commit is under way that takes the lease: it is not renewed yet, and whoever looks for tasks that
    /// nobody works on leaves this one alone, however long the answer takes.
    pub(super) fn claim(self: &Arc<Self>, task_id: &Arc<str>) -> Held {
        let lost = CancellationToken::new();
        let claim = self.claims.fetch_add(1, Ordering::Relaxed);
        let lease = Lease {
            claim,
            epoch: None,
            lost: lost.clone(),
        };
        self.held.insert(task_id.clone(), lease);
        Held {
            leases: self.clone(),
            task_id: task_id.clone(),
            claim,
            lost,
        }
    }

    /// Whether a task is held by this process.
    pub(super) fn holds(&self, task_id: &str) -> bool {
        self.held.contains_key(task_id)
    }

    /// In one order always, so that two processes which renew the same tasks don't wait for each other in a circle.
    fn all(&self) -> Vec<(Arc<str>, u64)> {
        let entries = self.held.iter();
        let mut all: Vec<_> = entries
            .filter_map(|entry| Some((entry.key().clone(), entry.epoch?)))
            .collect();
        all.sort_unstable();
        all
    }

    /// The database refused to renew the lease of this epoch. A later one of the same task is not meant: it began while
    /// the heartbeat was under way.
    fn lose(&self, task_id: &str, epoch: u64) {
        let lease = self.held.get(task_id);
        if let Some(lease) = lease.filter(|lease| lease.epoch == Some(epoch)) {
            lease.lost.cancel();
        }
    }
}

impl Held {
    /// The row has the lease and this epoch: from now on it is renewed.
    pub(super) fn begin(&self, epoch: u64) {
        if let Some(mut lease) = self.mine() {
            lease.epoch = Some(epoch);
        }
    }

    fn mine(&self) -> Option<RefMut<'_, Arc<str>, Lease>> {
        let lease = self.leases.held.get_mut(&self.task_id);
        lease.filter(|lease| lease.claim == self.claim)
    }

    /// Resolves when the database refused to renew the lease. Safe to cancel.
    pub(super) async fn lost(&mut self) {
        self.lost.cancelled().await;
    }

    /// Lets others have the task at once.
    pub(super) async fn hand_back(self, repository: &Arc<dyn TaskRepository>) -> Result<(), Error> {
        // From here on no beat takes it along, and one that did is waited for.
        let Some(epoch) = self.mine().and_then(|mut lease| lease.epoch.take()) else {
            return Ok(());
        };
        let _alone = self.leases.beat.lock().await;
        let lease = [(self.task_id.clone(), epoch)];
        repository.renew(&lease, Duration::ZERO).await.map(|_| ())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The next writer of the task may hold it already.
        self.leases
            .held
            .remove_if(&self.task_id, |_, lease| lease.claim == self.claim);
    }
}

impl Executions {
    /// Renews the leases of all running tasks, a quarter of their time apart, until they are handed back. Without it they
    /// run out, and other processes take the tasks over.
    pub async fn keep_leases(self) {
        let pause = self.beat_time();
        let mut beats = interval_at(Instant::now() + pause, pause);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = self.0.leases.ended.clone();
        while ended.run_until_cancelled(beats.tick()).await.is_some() {
            self.renew_leases().await;
        }
    }

    /// Renews the leases of all running tasks once; whoever has lost one gives its execution up. It is given up itself
    /// when the next one is due: one that hangs must not keep others from coming through.
    pub async fn renew_leases(&self) {
        let leases = &self.0.leases;
        let _alone = leases.beat.lock().await;
        if leases.ended.is_cancelled() {
            return;
        }
        let all = leases.all();
        let beat = join_all(all.chunks(RENEWED_AT_ONCE).map(|some| self.renew(some)));
        if timeout(self.beat_time(), beat).await.is_err() {
            tracing::warn!(
                tasks = all.len(),
                "no answer to a heartbeat in time; the next one is made"
            );
        }
    }

    async fn renew(&self, some: &[(Arc<str>, u64)]) {
        match self.0.repository.renew(some, self.0.settings.lease).await {
            Ok(refused) => some
                .iter()
                .filter(|(task_id, _)| refused.contains(task_id))
                .for_each(|(task_id, epoch)| self.0.leases.lose(task_id, *epoch)),
            Err(error) => tracing::warn!(%error, tasks = some.len(), "leases could not be renewed"),
        }
    }

    /// The time from one beat to the next, which is also the longest that one may take.
    fn beat_time(&self) -> Duration {
        self.0.settings.lease / BEATS_PER_LEASE
    }

    /// Hands the leases of all running tasks back, so that others can take them up at once: the last thing that a
    /// process does before it stops what runs. No lease is renewed from here on; a beat that is on its way is waited
    /// for, or it would take back what is given.
    pub async fn hand_back_leases(&self) {
        let leases = &self.0.leases;
        leases.ended.cancel();
        let _alone = leases.beat.lock().await;
        for some in leases.all().chunks(RENEWED_AT_ONCE) {
            if let Err(error) = self.0.repository.renew(some, Duration::ZERO).await {
                tracing::warn!(%error, tasks = some.len(), "leases could not be handed back; they run out by themselves");
            }
        }
    }
}

//! The leases that this process holds, renewed together by one heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use tokio_util::sync::CancellationToken;

use super::Executions;
use crate::repository::{Error, TaskRepository};

/// Leases that are renewed by one call: a few statements, so that tasks don't wait for the heartbeat for long.
const RENEWED_AT_ONCE: usize = 1_024;
/// Heartbeats in the life of a lease: two may fail before it is lost.
const BEATS_PER_LEASE: u32 = 3;

/// The tasks that are held, or will be when their commit is through.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: DashMap<Arc<str>, Lease>,
    claims: AtomicU64,
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
        let Some(epoch) = self.mine().and_then(|lease| lease.epoch) else {
            return Ok(());
        };
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
    /// Renews the leases of all running tasks, a third of their time apart, for ever. Without it they run out, and
    /// other processes take the tasks over.
    pub async fn keep_leases(self) {
        let pause = self.0.settings.lease / BEATS_PER_LEASE;
        loop {
            tokio::time::sleep(pause).await;
            self.renew_leases().await;
        }
    }

    /// Renews the leases of all running tasks once; whoever has lost one gives its execution up.
    pub async fn renew_leases(&self) {
        let leases = self.0.leases.all();
        for some in leases.chunks(RENEWED_AT_ONCE) {
            match self.0.repository.renew(some, self.0.settings.lease).await {
                Ok(refused) => some
                    .iter()
                    .filter(|(task_id, _)| refused.contains(task_id))
                    .for_each(|(task_id, epoch)| self.0.leases.lose(task_id, *epoch)),
                Err(error) => tracing::warn!(%error, tasks = some.len(), "leases could not be renewed"),
            }
        }
    }

    /// Hands the leases of all running tasks back, so that others can take them up at once: the last thing that a
    /// process does before it stops what runs.
    pub async fn hand_back_leases(&self) {
        let leases = self.0.leases.all();
        for some in leases.chunks(RENEWED_AT_ONCE) {
            if let Err(error) = self.0.repository.renew(some, Duration::ZERO).await {
                tracing::warn!(%error, tasks = some.len(), "leases could not be handed back; they run out by themselves");
            }
        }
    }
}

//! The leases that this process holds, renewed together by one heartbeat.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio_util::sync::CancellationToken;

use super::Executions;
use crate::repository::{Error, TaskRepository};

/// Leases that are renewed by one call: a few statements, so that tasks don't wait for the heartbeat for long.
const RENEWED_AT_ONCE: usize = 1_024;
/// Heartbeats in the life of a lease: two may fail before it is lost.
const BEATS_PER_LEASE: u32 = 3;

/// The tasks that are held.
#[derive(Debug, Default)]
pub(super) struct Leases(DashMap<Arc<str>, Lease>);

#[derive(Debug)]
struct Lease {
    epoch: u64,
    lost: CancellationToken,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    leases: Arc<Leases>,
    task_id: Arc<str>,
    epoch: u64,
    lost: CancellationToken,
}

impl Leases {
    pub(super) fn hold(self: &Arc<Self>, task_id: &Arc<str>, epoch: u64) -> Held {
        let lost = CancellationToken::new();
        let lease = Lease {
            epoch,
            lost: lost.clone(),
        };
        self.0.insert(task_id.clone(), lease);
        Held {
            leases: self.clone(),
            task_id: task_id.clone(),
            epoch,
            lost,
        }
    }

    /// Whether a task is held by this process.
    pub(super) fn holds(&self, task_id: &str) -> bool {
        self.0.contains_key(task_id)
    }

    /// In one order always, so that two processes which renew the same tasks don't wait for each other in a circle.
    fn all(&self) -> Vec<(Arc<str>, u64)> {
        let entries = self.0.iter();
        let mut all: Vec<_> = entries.map(|entry| (entry.key().clone(), entry.epoch)).collect();
        all.sort_unstable();
        all
    }

    fn lose(&self, task_id: &str) {
        if let Some(lease) = self.0.get(task_id) {
            lease.lost.cancel();
        }
    }
}

impl Held {
    /// Resolves when the database refused to renew the lease. Safe to cancel.
    pub(super) async fn lost(&mut self) {
        self.lost.cancelled().await;
    }
}

impl Held {
    /// Lets others have the task at once.
    pub(super) async fn hand_back(self, repository: &Arc<dyn TaskRepository>) -> Result<(), Error> {
        let lease = [(self.task_id.clone(), self.epoch)];
        repository.renew(&lease, Duration::ZERO).await.map(|_| ())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The next writer of the task may hold it already.
        self.leases
            .0
            .remove_if(&self.task_id, |_, lease| lease.epoch == self.epoch);
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
                Ok(refused) => refused.iter().for_each(|task_id| self.0.leases.lose(task_id)),
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

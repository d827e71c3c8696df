//! Leases in memory, measured by the repository's own clock.

use std::sync::Arc;
use std::time::Duration;

use super::MemoryRepository;
use super::row::Row;
use crate::repository::types::millis;
use crate::repository::{Interrupted, Lapsed, Lease};
use crate::task::is_interrupted;

/// When a lease ends after a write.
pub(super) fn leased(lease: Lease, until_ms: i64, now_ms: i64) -> i64 {
    match lease {
        Lease::Released => 0,
        Lease::Kept => until_ms,
        Lease::Held(ttl) => now_ms.saturating_add(millis(ttl)),
    }
}

impl Row {
    fn is_lapsed(&self, now_ms: i64) -> bool {
        self.lease_until_ms > 0 && self.lease_until_ms <= now_ms
    }
}

impl MemoryRepository {
    pub(super) fn renew_leases(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Vec<Arc<str>> {
        let until_ms = self.clock.now_ms().saturating_add(millis(ttl));
        let mut refused = Vec::new();
        for (task_id, epoch) in leases {
            match self.tasks.get_mut(task_id).filter(|row| row.epoch == *epoch) {
                Some(mut row) if row.lease_until_ms > 0 => row.lease_until_ms = until_ms,
                Some(_) => {}
                None => refused.push(task_id.clone()),
            }
        }
        refused
    }

    pub(super) fn find_lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Vec<Lapsed> {
        let now_ms = self.clock.now_ms();
        let lapsed = self.tasks.iter().filter(|row| row.is_lapsed(now_ms));
        let found = lapsed.map(|row| Lapsed {
            scope: row.scope.clone(),
            task_id: row.key().to_string(),
            epoch: row.epoch,
            attempt: row.attempt,
            lease_until_ms: row.lease_until_ms,
        });
        page(found, after, limit, |lapsed| {
            (lapsed.lease_until_ms, lapsed.task_id.clone())
        })
    }

    pub(super) fn take_lapsed(&self, lapsed: &Lapsed, ttl: Duration) -> bool {
        let now_ms = self.clock.now_ms();
        let is_free =
            |row: &Row| row.scope == lapsed.scope && row.epoch == lapsed.epoch && row.is_lapsed(now_ms);
        match self.tasks.get_mut(lapsed.task_id.as_str()) {
            Some(mut row) if is_free(&row) => {
                row.epoch += 1;
                row.lease_until_ms = now_ms.saturating_add(millis(ttl));
                true
            }
            _ => false,
        }
    }

    pub(super) fn release_lease(&self, task_id: &str, epoch: u64) -> bool {
        match self.tasks.get_mut(task_id).filter(|row| row.epoch == epoch) {
            Some(mut row) => {
                row.lease_until_ms = 0;
                true
            }
            None => false,
        }
    }

    pub(super) fn find_interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Vec<Interrupted> {
        let waits =
            |row: &Row| is_interrupted(row.state) && *row.scope.agent == *agent && row.status_ms <= until_ms;
        let waiting = self.tasks.iter().filter(|row| waits(row));
        let found = waiting.map(|row| Interrupted {
            scope: row.scope.clone(),
            task_id: row.key().to_string(),
            status_ms: row.status_ms,
        });
        page(found, after, limit, |task| (task.status_ms, task.task_id.clone()))
    }
}

/// The first `limit` of what stands behind `after`, in order of their places.
fn page<T>(
    found: impl Iterator<Item = T>,
    after: Option<&T>,
    limit: usize,
    place: impl Fn(&T) -> (i64, String),
) -> Vec<T> {
    let after = after.map(&place);
    let mut page: Vec<T> = found
        .filter(|item| after.as_ref().is_none_or(|after| place(item) > *after))
        .collect();
    page.sort_unstable_by_key(place);
    page.truncate(limit);
    page
}

//! Retention in memory: the same turns as in a database.

use std::sync::{Arc, PoisonError};

use super::MemoryRepository;
use super::row::Row;
use crate::repository::retention::{Ended, fitting};
use crate::repository::{CompactQuery, Compacted, PruneQuery, Pruned};
use crate::task::is_terminal;

impl MemoryRepository {
    pub(super) fn remove_old_tasks(&self, query: &PruneQuery) -> Pruned {
        let old = |row: &Row| {
            row.scope.agent == query.agent
                && row.state == query.state
                && is_terminal(row.state)
                && row.status_ms < query.before_ms
        };
        let mut found: Vec<(i64, Ended)> = self
            .tasks
            .iter()
            .filter(|row| old(row))
            .map(|row| (row.status_ms, row.ended(row.key())))
            .collect();
        found.sort_unstable_by(|(a_ms, a), (b_ms, b)| (a_ms, &a.task_id).cmp(&(b_ms, &b.task_id)));
        let ended: Vec<Ended> = found.into_iter().map(|(_, ended)| ended).collect();
        let Some(first) = ended.first() else {
            return Pruned::default();
        };
        if first.is_long(query.limit)
            && let Some(mut row) = self.tasks.get_mut(first.task_id.as_str())
        {
            let (events, _) = row.compact(i64::MAX, query.limit, 0);
            if events > 0 {
                return Pruned {
                    events,
                    more: true,
                    ..Pruned::default()
                };
            }
        }
        let gone = &ended[..fitting(&ended, query.limit)];
        for task in gone {
            self.remove(&task.task_id);
        }
        Pruned {
            tasks: gone.len(),
            events: gone.iter().map(Ended::events).sum(),
            more: gone.len() < ended.len(),
        }
    }

    pub(super) fn remove_old_beginnings(&self, query: &CompactQuery) -> Compacted {
        let mut ids: Vec<Arc<str>> = self
            .tasks
            .iter()
            .filter(|row| {
                row.snapshot_generation > row.first_generation && &**row.key() > query.after.as_str()
            })
            .map(|row| row.key().clone())
            .collect();
        ids.sort_unstable();
        let mut done = Compacted::default();
        let mut after = query.after.clone();
        for id in ids.iter().take(query.limit) {
            let Some(mut row) = self.tasks.get_mut(id) else {
                continue;
            };
            let (events, is_cut) = row.compact(query.before_ms, query.limit, done.events);
            done.events += events;
            if is_cut {
                done.next = Some(after);
                return done;
            }
            after = id.to_string();
        }
        done.next = (ids.len() > query.limit).then_some(after);
        done
    }

    /// Removes a task and everything that points to it.
    fn remove(&self, task_id: &str) {
        self.tasks.remove(task_id);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, bound| bound.known.task_id != task_id);
    }
}

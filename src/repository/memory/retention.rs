//! Retention in memory: the same turns as in a database.

use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::{Arc, PoisonError};

use super::MemoryRepository;
use super::row::Row;
use crate::pb::TaskState;
use crate::repository::retention::{Ended, fitting};
use crate::repository::{CompactQuery, Compacted, PruneQuery, Pruned};
use crate::task::is_terminal;

/// Ended tasks by age: those of each agent that ended in one state.
#[derive(Debug, Default)]
pub(super) struct EndedTasks(HashMap<(Arc<str>, TaskState), ByAge>);

/// Ids behind the times of their last status.
type ByAge = BTreeSet<(i64, Arc<str>)>;

impl EndedTasks {
    /// The ids of the oldest tasks that may go, at most `limit`.
    fn oldest(&self, query: &PruneQuery, may_go: impl Fn(&str) -> bool, limit: usize) -> Vec<Arc<str>> {
        let tasks = self.0.get(&(query.agent.clone(), query.state));
        let old = tasks
            .into_iter()
            .flatten()
            .take_while(|(status_ms, _)| *status_ms < query.before_ms)
            .filter(|(_, id)| may_go(id));
        old.take(limit).map(|(_, id)| id.clone()).collect()
    }
}

impl MemoryRepository {
    /// Takes note of a task that has ended; of others there is nothing to note.
    pub(super) fn note_end(&self, task_id: &Arc<str>, row: &Row) {
        if is_terminal(row.state) {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let of_agent = ended.0.entry((row.scope.agent.clone(), row.state)).or_default();
            of_agent.insert((row.status_ms, task_id.clone()));
        }
    }

    /// The task changes or goes.
    pub(super) fn forget_end(&self, task_id: &Arc<str>, row: &Row) {
        if is_terminal(row.state) {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let place = (row.scope.agent.clone(), row.state);
            if let Some(of_agent) = ended.0.get_mut(&place) {
                of_agent.remove(&(row.status_ms, task_id.clone()));
                if of_agent.is_empty() {
                    ended.0.remove(&place);
                }
            }
        }
    }

    pub(super) fn remove_old_tasks(&self, query: &PruneQuery) -> Pruned {
        // One more than a turn can take, to see whether another turn follows.
        let oldest = self.ended.lock().unwrap_or_else(PoisonError::into_inner).oldest(
            query,
            |id| !self.outbox().waits(id, u64::MAX),
            query.limit.saturating_add(1),
        );
        let ended: Vec<Ended> = oldest
            .iter()
            .filter_map(|id| Some(self.tasks.get(id)?.ended(id)))
            .collect();
        let Some(first) = ended.first() else {
            return Pruned::default();
        };
        if first.is_long(query.limit)
            && let Some(mut row) = self.tasks.get_mut(first.task_id.as_str())
        {
            let mut outbox = self.outbox();
            let first_named = outbox.first_named(&first.task_id);
            let keeps = first_named.filter(|_| outbox.waits(&first.task_id, u64::MAX));
            let (events, _) = row.compact(i64::MAX, keeps, query.limit, 0);
            outbox.remove_before(&first.task_id, row.first_generation);
            if events > 0 {
                return Pruned {
                    events,
                    more: true,
                    ..Pruned::default()
                };
            }
        }
        let gone = &ended[..fitting(&ended, query.limit)];
        let more = gone.len() < ended.len();
        let gone: Vec<&Ended> = gone.iter().filter(|task| self.remove(&task.task_id)).collect();
        Pruned {
            tasks: gone.len(),
            events: gone.iter().map(|task| task.events()).sum(),
            // What was asked for anew in the meantime is left to the next pass.
            more: more && !gone.is_empty(),
        }
    }

    pub(super) fn remove_old_beginnings(&self, query: &CompactQuery) -> Compacted {
        let with_snapshot = self.tasks.iter().filter(|row| {
            row.snapshot_generation > row.first_generation && &**row.key() > query.after.as_str()
        });
        let ids = smallest(
            with_snapshot.map(|row| row.key().clone()),
            query.limit.saturating_add(1),
        );
        let mut done = Compacted::default();
        let mut after = query.after.clone();
        for id in ids.iter().take(query.limit) {
            let Some(mut row) = self.tasks.get_mut(id) else {
                continue;
            };
            let first_named = self.outbox().first_named(id);
            let (events, is_cut) = row.compact(query.before_ms, first_named, query.limit, done.events);
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

    /// Removes a task and everything that points to it, unless something of it waits to be sent; whether it went.
    fn remove(&self, task_id: &str) -> bool {
        let removed = self.tasks.remove_if(task_id, |id, row| {
            let goes = self.outbox().remove_task(id);
            if goes {
                self.forget_end(id, row);
            }
            goes
        });
        if removed.is_some() {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.remove_task(task_id);
        }
        removed.is_some()
    }
}

/// The `limit` smallest in order, without keeping more than those at a time.
fn smallest<T: Ord>(all: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let mut kept = BinaryHeap::new();
    for item in all {
        kept.push(item);
        if kept.len() > limit {
            kept.pop();
        }
    }
    kept.into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::TaskRepository as _;
    use crate::repository::conformance::{NOW_MS, Sketch, scope};

    #[test]
    fn the_smallest_come_in_order() {
        assert_eq!(smallest([5, 3, 9, 1, 4].into_iter(), 3), [1, 3, 4]);
        assert_eq!(smallest([2, 1].into_iter(), 3), [1, 2]);
        assert!(smallest([2, 1].into_iter(), 0).is_empty());
    }

    #[tokio::test]
    async fn nothing_is_left_of_tasks_that_went() {
        let repository = MemoryRepository::new();
        let ada = scope("ada");
        for n in 0..50 {
            let mut sketch = Sketch::new(&ada, &format!("t{n}"));
            repository.commit(sketch.create()).await.unwrap();
            let ended = sketch.go_at(TaskState::Completed, NOW_MS + n);
            repository.commit(ended).await.unwrap();
        }
        let query = PruneQuery {
            agent: ada.agent.clone(),
            state: TaskState::Completed,
            before_ms: NOW_MS + 30,
            limit: 20,
        };
        let mut turns = 0;
        while repository.prune(&query).await.unwrap().more {
            turns += 1;
        }
        assert_eq!((turns, repository.tasks.len()), (2, 20));
        let left = |repository: &MemoryRepository| {
            let ended = repository.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.0.values().map(BTreeSet::len).sum::<usize>()
        };
        assert_eq!(left(&repository), 20);
        let all = PruneQuery {
            before_ms: i64::MAX,
            ..query
        };
        while repository.prune(&all).await.unwrap().more {}
        assert_eq!((left(&repository), repository.tasks.len()), (0, 0));
    }
}

//! Tasks in memory: the fastest repository, and the model that the others are compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use prost::Message as _;

use super::retention::{Ended, Written, beginning, fitting};
use super::types::take_while_they_fit;
use super::{
    CompactQuery, Compacted, Error, IdempotencyKey, KnownKey, ListCursor, ListPage, ListQuery, PruneQuery,
    Pruned, StoredTask, TaskRepository, TaskWrite, Unfinished,
};
use crate::context::Scope;
use crate::pb::{Task, TaskPushNotificationConfig, TaskState};
use crate::task::{TaskEvent, is_settled, is_terminal, replay};

/// A repository that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryRepository {
    /// Boxed, so that a growing table moves pointers and not tasks.
    tasks: DashMap<Arc<str>, Box<Row>>,
    keys: RwLock<HashMap<(Scope, Arc<str>), BoundKey>>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Row {
    scope: Scope,
    context_id: Arc<str>,
    state: TaskState,
    status_ms: i64,
    generation: u64,
    epoch: u64,
    snapshot: Option<Bytes>,
    snapshot_generation: u64,
    /// The generation of the first event that is kept; 1 until compaction takes some.
    first_generation: u64,
    events: Vec<Arc<TaskEvent>>,
    /// Where each commit ends whose events are kept.
    commits: Vec<Written>,
    push_configs: BTreeMap<String, TaskPushNotificationConfig>,
}

#[derive(Debug)]
struct BoundKey {
    known: KnownKey,
    expires_ms: i64,
}

impl MemoryRepository {
    /// An empty repository.
    pub fn new() -> Self {
        Self::default()
    }

    fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Unavailable("the repository is closed".to_owned()));
        }
        Ok(())
    }

    /// Binds all keys of a write, or none.
    fn bind_keys(&self, write: &TaskWrite) -> Result<(), Error> {
        if write.keys.is_empty() {
            return Ok(());
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let place = |key: &IdempotencyKey| (write.scope.clone(), key.key.clone());
        for key in &write.keys {
            if let Some(bound) = keys
                .get(&place(key))
                .filter(|bound| bound.expires_ms > write.status_ms)
            {
                return Err(Error::KeyTaken(bound.known.task_id.clone()));
            }
        }
        for key in &write.keys {
            let known = KnownKey {
                task_id: write.task_id.to_string(),
                fingerprint: key.fingerprint,
            };
            keys.insert(
                place(key),
                BoundKey {
                    known,
                    expires_ms: key.expires_ms,
                },
            );
        }
        Ok(())
    }

    /// Removes a task and everything that points to it.
    fn remove(&self, task_id: &str) {
        self.tasks.remove(task_id);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, bound| bound.known.task_id != task_id);
    }

    fn visible<T>(&self, scope: &Scope, task_id: &str, read: impl FnOnce(&Row) -> T) -> Option<T> {
        let row = self.tasks.get(task_id)?;
        (row.scope == *scope).then(|| read(&row))
    }
}

impl Row {
    fn create(write: TaskWrite) -> Self {
        let generation = write.generation();
        Self {
            scope: write.scope,
            context_id: write.context_id,
            state: write.state,
            status_ms: write.status_ms,
            generation,
            epoch: write.epoch,
            snapshot: write.snapshot,
            snapshot_generation: write.snapshot_generation,
            first_generation: 1,
            events: write.events,
            commits: vec![Written {
                last_generation: generation,
                at_ms: write.at_ms,
            }],
            push_configs: write
                .push_configs
                .into_iter()
                .map(|config| (config.id.clone(), config))
                .collect(),
        }
    }

    fn append(&mut self, write: TaskWrite) {
        self.generation = write.generation();
        self.epoch = write.epoch;
        self.state = write.state;
        self.status_ms = write.status_ms;
        self.events.extend(write.events);
        self.commits.push(Written {
            last_generation: self.generation,
            at_ms: write.at_ms,
        });
        if write.snapshot.is_some() {
            self.snapshot = write.snapshot;
        }
        self.snapshot_generation = write.snapshot_generation;
        self.push_configs.extend(
            write
                .push_configs
                .into_iter()
                .map(|config| (config.id.clone(), config)),
        );
    }

    fn fold(&self, task_id: &str) -> Result<StoredTask, Error> {
        let corrupt = |cause: String| Error::Corrupt {
            task_id: task_id.to_owned(),
            generation: None,
            cause,
        };
        let snapshot = self.snapshot.clone().map(Task::decode).transpose();
        let snapshot = snapshot.map_err(|error| corrupt(error.to_string()))?;
        let tail = &self.events[self.place(self.snapshot_generation)..];
        let task =
            replay(snapshot, self.snapshot_generation, tail).map_err(|error| corrupt(error.to_string()))?;
        let task = task.ok_or_else(|| corrupt("the log is empty".to_owned()))?;
        Ok(StoredTask {
            task,
            generation: self.generation,
            snapshot_generation: self.snapshot_generation,
            epoch: self.epoch,
        })
    }

    /// Where in `events` the one behind `generation` is.
    fn place(&self, generation: u64) -> usize {
        (generation + 1).saturating_sub(self.first_generation) as usize
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Arc<TaskEvent>>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if after.saturating_add(1) < self.first_generation {
            return Err(Error::Expired {
                first: self.first_generation,
            });
        }
        let after = self.place(after.min(self.generation));
        Ok(self.events.iter().skip(after).take(limit).cloned().collect())
    }

    /// Removes the events up to a generation.
    fn cut(&mut self, through: u64) {
        let count = self.place(through);
        self.events.drain(..count);
        self.commits.retain(|commit| commit.last_generation > through);
        self.first_generation = through + 1;
    }

    /// Removes old events before the snapshot; how many, and whether the limit came first.
    fn compact(&mut self, before_ms: i64, limit: usize, spent: u64) -> (u64, bool) {
        let before = |commit: &&Written| commit.last_generation < self.snapshot_generation;
        let commits = self.commits.iter().take_while(before).copied();
        let found = beginning(commits, self.first_generation, before_ms, limit, spent);
        let events = found.through + 1 - self.first_generation;
        if events > 0 {
            self.cut(found.through);
        }
        (events, found.is_cut)
    }

    fn ended(&self, task_id: &str) -> Ended {
        Ended {
            task_id: task_id.to_owned(),
            first_generation: self.first_generation,
            generation: self.generation,
            snapshot_generation: self.snapshot_generation,
        }
    }

    fn matches(&self, scope: &Scope, query: &ListQuery) -> bool {
        self.scope == *scope
            && query
                .context_id
                .as_deref()
                .is_none_or(|context_id| context_id == &*self.context_id)
            && query.state.is_none_or(|state| state == self.state)
            && query.status_after_ms.is_none_or(|after| self.status_ms >= after)
    }
}

#[async_trait]
impl TaskRepository for MemoryRepository {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        self.open()?;
        match self.tasks.entry(write.task_id.clone()) {
            Entry::Vacant(place) if write.expected_generation == 0 => {
                self.bind_keys(&write)?;
                place.insert(Box::new(Row::create(write)));
            }
            Entry::Occupied(mut row)
                if row.get().generation == write.expected_generation
                    && row.get().epoch == write.expected_epoch
                    && row.get().scope == write.scope =>
            {
                self.bind_keys(&write)?;
                row.get_mut().append(write);
            }
            Entry::Vacant(_) | Entry::Occupied(_) => return Err(Error::Stale),
        }
        Ok(())
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        self.visible(scope, task_id, |row| row.fold(task_id)).transpose()
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        self.visible(scope, task_id, |row| row.events(after, limit))
            .unwrap_or_else(|| Ok(Vec::new()))
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        let mut order: Vec<(i64, Arc<str>)> = self
            .tasks
            .iter()
            .filter(|row| row.matches(scope, query))
            .map(|row| (row.status_ms, row.key().clone()))
            .collect();
        let total = order.len().min(query.count_limit);
        if let Some(cursor) = &query.cursor {
            order.retain(|(status_ms, id)| (*status_ms, &**id) < (cursor.status_ms, cursor.task_id.as_str()));
        }
        order.sort_unstable_by(|a, b| b.cmp(a));
        let more = order.len() > query.limit;
        order.truncate(query.limit);
        let mut tasks = Vec::with_capacity(order.len());
        let mut bytes = query.bytes_max;
        for (_, id) in &order {
            let task = self.visible(scope, id, |row| row.fold(id)).transpose()?;
            if !take_while_they_fit(&mut tasks, task, &mut bytes) {
                break;
            }
        }
        let more = more || tasks.len() < order.len();
        let last = order.get(..tasks.len()).and_then(<[_]>::last);
        let next = last.filter(|_| more).map(|(status_ms, id)| ListCursor {
            status_ms: *status_ms,
            task_id: id.to_string(),
        });
        Ok(ListPage { tasks, total, next })
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let bound = keys.get(&(scope.clone(), Arc::from(key)));
        Ok(bound
            .filter(|bound| bound.expires_ms > now_ms)
            .map(|bound| bound.known.clone()))
    }

    async fn unfinished(&self, after: &str, limit: usize) -> Result<Vec<Unfinished>, Error> {
        let mut found: Vec<Unfinished> = self
            .tasks
            .iter()
            .filter(|row| !is_settled(row.state) && &**row.key() > after)
            .map(|row| Unfinished {
                scope: row.scope.clone(),
                task_id: row.key().to_string(),
            })
            .collect();
        found.sort_unstable_by(|a, b| a.task_id.cmp(&b.task_id));
        found.truncate(limit);
        Ok(found)
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        self.open()?;
        let Some(mut row) = self
            .tasks
            .get_mut(config.task_id.as_str())
            .filter(|row| row.scope == *scope)
        else {
            return Ok(false);
        };
        if row.push_configs.keys().filter(|id| **id != config.id).count() >= limit {
            return Err(Error::TooMany(limit));
        }
        row.push_configs.insert(config.id.clone(), config.clone());
        Ok(true)
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        Ok(self.visible(scope, task_id, |row| row.push_configs.values().cloned().collect()))
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        self.open()?;
        let Some(mut row) = self.tasks.get_mut(task_id).filter(|row| row.scope == *scope) else {
            return Ok(false);
        };
        row.push_configs.remove(id);
        Ok(true)
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        let agents: BTreeSet<String> = self.tasks.iter().map(|row| row.scope.agent.to_string()).collect();
        Ok(agents.into_iter().collect())
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        self.open()?;
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
            return Ok(Pruned::default());
        };
        if first.is_long(query.limit)
            && let Some(mut row) = self.tasks.get_mut(first.task_id.as_str())
        {
            let (events, _) = row.compact(i64::MAX, query.limit, 0);
            if events > 0 {
                return Ok(Pruned {
                    events,
                    more: true,
                    ..Pruned::default()
                });
            }
        }
        let gone = &ended[..fitting(&ended, query.limit)];
        for task in gone {
            self.remove(&task.task_id);
        }
        Ok(Pruned {
            tasks: gone.len(),
            events: gone.iter().map(Ended::events).sum(),
            more: gone.len() < ended.len(),
        })
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        self.open()?;
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
                return Ok(done);
            }
            after = id.to_string();
        }
        done.next = (ids.len() > query.limit).then_some(after);
        Ok(done)
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

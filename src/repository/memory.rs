//! Tasks in memory: the fastest repository, and the model that the others are compared with.
//!
//! What is kept is touched once and then lies there, and fresh memory costs more than computing: so the events of a
//! commit are kept packed, as a database keeps them, and not as the live objects that streams share.

mod keys;
mod lease;
mod outbox;
mod push;
mod retention;
mod row;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::fast::RandomState;

use self::keys::Keys;
use self::outbox::Outbox;
use self::retention::EndedTasks;
use self::row::Row;
use super::types::take_while_they_fit;
use super::{
    ApiKeyRepository, ApiKeyRow, CompactQuery, Compacted, Error, Interrupted, KnownKey, Lapsed, ListCursor,
    ListPage, ListQuery, OpenQuery, PruneQuery, Pruned, PushStream, StoredTask, TaskRepository, TaskWrite,
};
use crate::clock::Clock;
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::task::{TaskEvent, is_terminal};

/// Parts of the table, each of which grows by itself: the more, the shorter the pause when one does.
const SHARDS: usize = 256;

/// A repository that forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryRepository {
    /// Boxed, so that a growing table moves pointers and not tasks. Ids are made here and not by callers, so that the
    /// hash needs to be quick and no more.
    tasks: DashMap<Arc<str>, Box<Row>, RandomState>,
    keys: RwLock<Keys>,
    /// Locked while a task is, and never the other way round.
    ended: Mutex<EndedTasks>,
    /// Push configurations and what waits for them. Locked while a task is, and never the other way round.
    outbox: Mutex<Outbox>,
    closed: AtomicBool,
    /// What leases are measured by.
    clock: Clock,
}

impl Default for MemoryRepository {
    fn default() -> Self {
        Self {
            tasks: DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS),
            keys: RwLock::default(),
            ended: Mutex::default(),
            outbox: Mutex::default(),
            closed: AtomicBool::default(),
            clock: Clock::default(),
        }
    }
}

impl MemoryRepository {
    /// An empty repository.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty repository whose leases are measured by `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
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
        keys.bind(write, self.clock.now_ms())
    }

    /// Adds what a write gives the outbox to send. The task is locked: who claims it at once waits to read its events.
    fn note_push(&self, write: &TaskWrite, has_push_configs: bool) {
        if !has_push_configs && write.push_configs.is_empty() {
            return;
        }
        let now_ms = self.clock.now_ms();
        let mut outbox = self.outbox();
        for config in &write.push_configs {
            outbox.put(&write.scope, config.clone(), now_ms);
        }
        let events = write.expected_generation + 1..=write.generation();
        outbox.add(&write.task_id, events, write.at_ms, now_ms);
    }

    fn visible<T>(&self, scope: &Scope, task_id: &str, read: impl FnOnce(&Row) -> T) -> Option<T> {
        let row = self.tasks.get(task_id)?;
        (row.scope == *scope).then(|| read(&row))
    }
}

/// There are none: whoever makes keys does so beside the server, and can't reach its memory.
#[async_trait]
impl ApiKeyRepository for MemoryRepository {
    async fn api_key(&self, _id: &str) -> Result<Option<ApiKeyRow>, Error> {
        Ok(None)
    }
}

#[async_trait]
impl TaskRepository for MemoryRepository {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        self.open()?;
        match self.tasks.entry(write.task_id.clone()) {
            Entry::Vacant(place) if write.expected_generation == 0 => {
                self.bind_keys(&write)?;
                self.note_push(&write, false);
                let row = place.insert(Box::new(Row::create(write, self.clock.now_ms())));
                self.note_end(row.key(), &row);
            }
            Entry::Occupied(mut row)
                if row.get().generation == write.expected_generation
                    && row.get().epoch == write.expected_epoch
                    && row.get().scope == write.scope =>
            {
                self.bind_keys(&write)?;
                self.note_push(&write, row.get().has_push_configs);
                self.forget_end(row.key(), row.get());
                row.get_mut().append(write, self.clock.now_ms());
                self.note_end(row.key(), row.get());
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
        let events = self.visible(scope, task_id, |row| row.events(task_id, after, limit));
        events.unwrap_or_else(|| Ok(Vec::new()))
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
        Ok(keys.known(&(scope.clone(), Arc::from(key)), now_ms).cloned())
    }

    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        self.open()?;
        Ok(self.renew_leases(leases, ttl))
    }

    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error> {
        Ok(self.find_lapsed(after, limit))
    }

    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error> {
        self.open()?;
        Ok(self.take_lapsed(lapsed, ttl))
    }

    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error> {
        self.open()?;
        Ok(self.release_lease(task_id, epoch))
    }

    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error> {
        Ok(self.find_interrupted(agent, until_ms, after, limit))
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
        let mut outbox = self.outbox();
        let others = outbox
            .configs(&config.task_id)
            .filter(|other| other.id != config.id);
        if others.count() >= limit {
            return Err(Error::TooMany(limit));
        }
        outbox.put(scope, config.clone(), self.clock.now_ms());
        row.has_push_configs = true;
        Ok(true)
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        Ok(self.visible(scope, task_id, |_| {
            self.outbox().configs(task_id).cloned().collect()
        }))
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        self.open()?;
        let place = PushStream {
            task_id: Arc::from(task_id),
            config_id: Arc::from(id),
        };
        Ok(self
            .visible(scope, task_id, |_| self.outbox().remove(&place))
            .is_some())
    }

    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error> {
        let is_open = |row: &Row| {
            !is_terminal(row.state)
                && query.agents.contains(&row.scope.agent)
                && query.owners.contain(&row.scope.owner)
        };
        let open = self.tasks.iter().filter(|row| is_open(row.value()));
        Ok(open.take(query.limit).count())
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        let agents: BTreeSet<String> = self.tasks.iter().map(|row| row.scope.agent.to_string()).collect();
        Ok(agents.into_iter().collect())
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        self.open()?;
        Ok(self.remove_old_tasks(query))
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        self.open()?;
        Ok(self.remove_old_beginnings(query))
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

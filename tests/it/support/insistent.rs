//! A caller of a repository that asks again until it knows, as a careful one must: UNAVAILABLE says nothing about what
//! took place.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    CompactQuery, Compacted, Error, Interrupted, KnownKey, Lapsed, ListPage, ListQuery, OpenQuery,
    PruneQuery, Pruned, StoredTask, TaskRepository, TaskWrite,
};
use a2ad::task::TaskEvent;

use super::faulty::FaultyRepository;

/// Longer than a write is on its way that nobody waits for any more. One that created its task anew, which was removed in
/// the meantime, would be no fault of the repository: no retention is as short as that.
const ASTRAY: Duration = Duration::from_millis(500);

/// Attempts before the database is taken to be gone for good.
const ATTEMPTS_MAX: usize = 50;

pub struct Insistent {
    repository: Arc<FaultyRepository>,
    /// The tasks that were taken over, by the epochs that this ended.
    taken: Mutex<HashSet<(String, u64)>>,
}

/// Asks until there is an answer.
macro_rules! insist {
    ($ask:expr) => {{
        let mut answer = $ask.await;
        for _ in 1..ATTEMPTS_MAX {
            if !matches!(answer, Err(Error::Unavailable(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = $ask.await;
        }
        answer
    }};
}

impl Insistent {
    pub fn new(repository: Arc<FaultyRepository>) -> Self {
        Self {
            repository,
            taken: Mutex::default(),
        }
    }

    /// Whether this is the first who is told that the task is taken.
    fn is_first(&self, lapsed: &Lapsed) -> bool {
        let place = (lapsed.task_id.clone(), lapsed.epoch);
        self.taken.lock().unwrap().insert(place)
    }

    /// Whether the log has the events of a write.
    async fn has(&self, write: &TaskWrite) -> Result<bool, Error> {
        let (after, limit) = (write.expected_generation, write.events.len());
        let events = insist!(self.repository.events(&write.scope, &write.task_id, after, limit))?;
        Ok(events == write.events)
    }
}

#[async_trait::async_trait]
impl TaskRepository for Insistent {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        let mut unknown = false;
        for _ in 0..ATTEMPTS_MAX {
            match self.repository.commit(write.clone()).await {
                Err(Error::Unavailable(_)) => unknown = true,
                // Refused because of an attempt of our own?
                Err(refusal) if unknown => {
                    tokio::time::sleep(ASTRAY).await;
                    return if self.has(&write).await? {
                        Ok(())
                    } else {
                        Err(refusal)
                    };
                }
                answer => {
                    if unknown {
                        tokio::time::sleep(ASTRAY).await;
                    }
                    return answer;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.repository.commit(write).await
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        insist!(self.repository.get(scope, task_id))
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        insist!(self.repository.events(scope, task_id, after, limit))
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        insist!(self.repository.list(scope, query))
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        insist!(self.repository.known_key(scope, key, now_ms))
    }

    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        insist!(self.repository.renew(leases, ttl))
    }

    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error> {
        insist!(self.repository.lapsed(after, limit))
    }

    /// Asked once more about what an attempt has taken whose answer is lost, the database says no: the epoch tells that
    /// somebody took it, and this asks for all.
    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error> {
        let mut unknown = false;
        for _ in 0..ATTEMPTS_MAX {
            match self.repository.take_over(lapsed, ttl).await {
                Err(Error::Unavailable(_)) => unknown = true,
                Ok(false) if unknown => {
                    let stored = insist!(self.repository.get(&lapsed.scope, &lapsed.task_id))?;
                    let is_taken = stored.is_some_and(|stored| stored.epoch == lapsed.epoch + 1);
                    return Ok(is_taken && self.is_first(lapsed));
                }
                Ok(true) => return Ok(self.is_first(lapsed)),
                answer => return answer,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.repository.take_over(lapsed, ttl).await
    }

    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error> {
        insist!(self.repository.release(task_id, epoch))
    }

    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error> {
        insist!(self.repository.interrupted(agent, until_ms, after, limit))
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        insist!(self.repository.put_push_config(scope, config, limit))
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        insist!(self.repository.push_configs(scope, task_id))
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        insist!(self.repository.delete_push_config(scope, task_id, id))
    }

    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error> {
        insist!(self.repository.open_tasks(query))
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        insist!(self.repository.agents())
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        insist!(self.repository.prune(query))
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        insist!(self.repository.compact(query))
    }

    async fn check(&self) -> Result<(), Error> {
        insist!(self.repository.check())
    }

    async fn close(&self) {
        self.repository.close().await;
    }
}

//! A caller of a repository that asks again until it knows, as a careful one must: UNAVAILABLE says nothing about what
//! took place.

use std::sync::Arc;
use std::time::Duration;

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    Error, KnownKey, ListPage, ListQuery, StoredTask, TaskRepository, TaskWrite, Unfinished,
};
use a2ad::task::TaskEvent;

use super::faulty::FaultyRepository;

/// Attempts before the database is taken to be gone for good.
const ATTEMPTS_MAX: usize = 50;

pub struct Insistent(pub Arc<FaultyRepository>);

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
    /// Whether the log has the events of a write.
    async fn has(&self, write: &TaskWrite) -> Result<bool, Error> {
        let (after, limit) = (write.expected_generation, write.events.len());
        let events = insist!(self.0.events(&write.scope, &write.task_id, after, limit))?;
        Ok(events == write.events)
    }
}

#[async_trait::async_trait]
impl TaskRepository for Insistent {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        let mut unknown = false;
        for _ in 0..ATTEMPTS_MAX {
            match self.0.commit(write.clone()).await {
                Err(Error::Unavailable(_)) => unknown = true,
                // Refused because of an attempt of our own?
                Err(refusal) if unknown => {
                    return if self.has(&write).await? {
                        Ok(())
                    } else {
                        Err(refusal)
                    };
                }
                answer => return answer,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.0.commit(write).await
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        insist!(self.0.get(scope, task_id))
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        insist!(self.0.events(scope, task_id, after, limit))
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        insist!(self.0.list(scope, query))
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        insist!(self.0.known_key(scope, key, now_ms))
    }

    async fn unfinished(&self, after: &str, limit: usize) -> Result<Vec<Unfinished>, Error> {
        insist!(self.0.unfinished(after, limit))
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        insist!(self.0.put_push_config(scope, config, limit))
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        insist!(self.0.push_configs(scope, task_id))
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        insist!(self.0.delete_push_config(scope, task_id, id))
    }

    async fn check(&self) -> Result<(), Error> {
        insist!(self.0.check())
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

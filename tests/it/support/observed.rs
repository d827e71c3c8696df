//! A repository that counts its commits and fails on demand.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    Error, KnownKey, ListPage, ListQuery, StoredTask, TaskRepository, TaskWrite, Unfinished,
};
use a2ad::task::TaskEvent;

use super::faulty::{FaultyRepository, Method, script};

pub use super::faulty::Fault;

pub struct Observed {
    inner: Arc<FaultyRepository>,
    attempts: AtomicUsize,
    _held: Box<dyn Any + Send + Sync>,
}

impl Observed {
    pub fn new(inner: Arc<dyn TaskRepository>) -> Arc<Self> {
        Self::holding(inner, ())
    }

    /// Keeps something, a folder for example, for as long as the repository.
    pub fn holding(inner: Arc<dyn TaskRepository>, held: impl Any + Send + Sync) -> Arc<Self> {
        Arc::new(Self {
            inner: FaultyRepository::new(inner, script(BTreeMap::new())),
            attempts: AtomicUsize::new(0),
            _held: Box::new(held),
        })
    }

    /// How many commits succeeded.
    pub fn commits(&self) -> usize {
        self.inner.commits()
    }

    /// The next commits fail in this way, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(Some).collect();
        self.inner
            .plan(script(BTreeMap::from([(Method::Commit, faults)])));
    }
}

#[async_trait::async_trait]
impl TaskRepository for Observed {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        // Some commits are there at once, others let everybody else run first.
        let pauses = self.attempts.fetch_add(1, Ordering::AcqRel) * 7 % 4;
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        self.inner.commit(write).await
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        self.inner.get(scope, task_id).await
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        self.inner.events(scope, task_id, after, limit).await
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        self.inner.list(scope, query).await
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        self.inner.known_key(scope, key, now_ms).await
    }

    async fn unfinished(&self, after: &str, limit: usize) -> Result<Vec<Unfinished>, Error> {
        self.inner.unfinished(after, limit).await
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        self.inner.put_push_config(scope, config, limit).await
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        self.inner.push_configs(scope, task_id).await
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        self.inner.delete_push_config(scope, task_id, id).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

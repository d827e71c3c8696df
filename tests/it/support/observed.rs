//! A repository that counts its commits and fails on demand.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    CompactQuery, Compacted, Error, Interrupted, KnownKey, Lapsed, ListPage, ListQuery, OpenQuery,
    PruneQuery, Pruned, StoredTask, TaskRepository, TaskWrite,
};
use a2ad::task::TaskEvent;

use super::faulty::{FaultyRepository, Method, Plan, script};

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

    /// The next calls meet these faults.
    pub fn plan(&self, plan: Plan) {
        self.inner.plan(plan);
    }

    /// How often a method was called.
    pub fn calls(&self, method: Method) -> usize {
        self.inner.calls(method)
    }

    /// The next commits fail in this way, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.fail_in(Method::Commit, faults);
    }

    /// The next calls of a method fail in this way, one after the other.
    pub fn fail_in(&self, method: Method, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(Some).collect();
        self.inner.plan(script(BTreeMap::from([(method, faults)])));
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

    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        self.inner.renew(leases, ttl).await
    }

    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error> {
        self.inner.lapsed(after, limit).await
    }

    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error> {
        self.inner.take_over(lapsed, ttl).await
    }

    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error> {
        self.inner.release(task_id, epoch).await
    }

    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error> {
        self.inner.interrupted(agent, until_ms, after, limit).await
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

    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error> {
        self.inner.open_tasks(query).await
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        self.inner.agents().await
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        self.inner.prune(query).await
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        self.inner.compact(query).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

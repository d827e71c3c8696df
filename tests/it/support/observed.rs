//! A repository that counts its commits and fails on demand.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    Error, KnownKey, ListPage, ListQuery, StoredTask, TaskRepository, TaskWrite, Unfinished,
};
use a2ad::task::TaskEvent;

/// What happens to one commit instead of success.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing is written, and the caller is told that the outcome is unknown.
    Before,
    /// Everything is written, and the caller is told that the outcome is unknown.
    After,
    /// As `After`, but the write takes place only when the next commit is on its way already.
    Late,
}

pub struct Observed {
    inner: Arc<dyn TaskRepository>,
    commits: AtomicUsize,
    attempts: AtomicUsize,
    faults: Mutex<VecDeque<Fault>>,
    late: Mutex<Option<TaskWrite>>,
    _held: Box<dyn Any + Send + Sync>,
}

impl Observed {
    pub fn new(inner: Arc<dyn TaskRepository>) -> Arc<Self> {
        Self::holding(inner, ())
    }

    /// Keeps something, a folder for example, for as long as the repository.
    pub fn holding(inner: Arc<dyn TaskRepository>, held: impl Any + Send + Sync) -> Arc<Self> {
        Arc::new(Self {
            inner,
            commits: AtomicUsize::new(0),
            attempts: AtomicUsize::new(0),
            faults: Mutex::default(),
            late: Mutex::default(),
            _held: Box::new(held),
        })
    }

    /// How many commits succeeded.
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::Acquire)
    }

    /// The next commits fail in this way, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }
}

#[async_trait::async_trait]
impl TaskRepository for Observed {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        let fault = self.faults.lock().unwrap().pop_front();
        let unknown = || Error::Unavailable("injected".to_owned());
        // Some commits are there at once, others let everybody else run first.
        let pauses = self.attempts.fetch_add(1, Ordering::AcqRel) * 7 % 4;
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        let late = self.late.lock().unwrap().take();
        if let Some(late) = late {
            self.inner.commit(late).await?;
            self.commits.fetch_add(1, Ordering::AcqRel);
        }
        match fault {
            Some(Fault::Late) => {
                *self.late.lock().unwrap() = Some(write);
                return Err(unknown());
            }
            Some(Fault::Before) => return Err(unknown()),
            Some(Fault::After) => {
                self.inner.commit(write).await?;
                self.commits.fetch_add(1, Ordering::AcqRel);
                return Err(unknown());
            }
            None => self.inner.commit(write).await?,
        }
        self.commits.fetch_add(1, Ordering::AcqRel);
        Ok(())
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

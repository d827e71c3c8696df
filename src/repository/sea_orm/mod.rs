//! Tasks in a SQL database, through SeaORM.
//!
//! Writes go through one committer, which puts everything that waits into one transaction; reads go to a pool of
//! their own. The committer lives in a background task: dropping a request never cancels a database call that
//! changes something. Start at [`SeaOrmRepository::open_sqlite`].

mod batch;
mod committer;
mod connect;
mod entity;
mod explain;
mod list;
mod log;
mod prune;
mod read;
mod seal;
mod side;
mod sql;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, DbErr};

use self::committer::{Committer, Work};
use self::connect::FileLock;
use self::prune::Removal;
use super::{
    CompactQuery, Compacted, Error, KnownKey, ListPage, ListQuery, PruneQuery, Pruned, StoredTask,
    TaskRepository, TaskWrite, Unfinished,
};
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::shutdown::Shutdown;
use crate::task::TaskEvent;

pub use self::connect::{OpenError, migrate_sqlite};
pub use self::explain::ListPlans;

/// How a database is used. Every limit is a configuration key of `[database]`.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Connections for reading.
    pub readers: u32,
    /// The most tasks whose changes share one transaction.
    pub commit_batch_max: usize,
    /// The most changes that may wait for a transaction; writers wait beyond it.
    pub commit_queue_max: usize,
    /// How long a read may take before the caller is told that the database is not available.
    pub read_timeout: Duration,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            readers: 4,
            commit_batch_max: 256,
            commit_queue_max: 4_096,
            read_timeout: Duration::from_secs(10),
        }
    }
}

/// A repository in a SQL database.
#[derive(Debug)]
pub struct SeaOrmRepository {
    readers: DatabaseConnection,
    committer: Committer,
    read_timeout: Duration,
    _lock: FileLock,
}

impl SeaOrmRepository {
    /// Opens the SQLite database at `path`, creating it if need be, applies what migrations are missing, and takes the
    /// lock that keeps a second process away: WAL, synchronous FULL, one writer connection, a pool of readers.
    ///
    /// # Errors
    /// When the file can't be opened, another process has it, its schema is newer than this program, or the bundled
    /// SQLite is one with a known defect.
    pub async fn open_sqlite(
        path: &Path,
        settings: &DatabaseSettings,
        shutdown: &Shutdown,
    ) -> Result<Self, OpenError> {
        let lock = FileLock::take(path)?;
        let writer = connect::sqlite(path, 1, false).await?;
        connect::check_sqlite_version(&writer).await?;
        connect::migrate(&writer).await?;
        let readers = connect::sqlite(path, settings.readers, true).await?;
        let committer = Committer::start(writer, settings, shutdown);
        Ok(Self {
            readers,
            committer,
            read_timeout: settings.read_timeout,
            _lock: lock,
        })
    }

    /// Removes rows in turn with the commits.
    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        if removal.is_empty() {
            return Ok(());
        }
        self.committer.run(|done| Work::Remove(removal, done)).await
    }

    async fn read<T>(&self, work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        tokio::time::timeout(self.read_timeout, work)
            .await
            .unwrap_or_else(|_| {
                Err(Error::Unavailable(format!(
                    "a read took over {:?}",
                    self.read_timeout
                )))
            })
    }
}

/// Any error of the driver means that the outcome is unknown and that trying again may help.
fn unavailable(error: DbErr) -> Error {
    Error::Unavailable(error.to_string())
}

#[async_trait]
impl TaskRepository for SeaOrmRepository {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        self.committer.run(|done| Work::Task(Box::new(write), done)).await
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        self.read(read::task(&self.readers, scope, task_id)).await
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        self.read(read::events(&self.readers, scope, task_id, after, limit))
            .await
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        self.read(list::page(&self.readers, scope, query)).await
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        self.read(side::known_key(&self.readers, scope, key, now_ms))
            .await
    }

    async fn unfinished(&self, after: &str, limit: usize) -> Result<Vec<Unfinished>, Error> {
        self.read(list::unfinished(&self.readers, after, limit)).await
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        let (scope, config) = (scope.clone(), Box::new(config.clone()));
        self.committer
            .run(|done| Work::PutPushConfig {
                scope,
                config,
                limit,
                done,
            })
            .await
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        self.read(side::push_configs(&self.readers, scope, task_id)).await
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        let (scope, task_id, id) = (scope.clone(), task_id.to_owned(), id.to_owned());
        self.committer
            .run(|done| Work::DeletePushConfig {
                scope,
                task_id,
                id,
                done,
            })
            .await
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        self.read(prune::agents(&self.readers)).await
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        let (removal, pruned) = self.read(prune::old_tasks(&self.readers, query)).await?;
        self.remove(removal).await?;
        Ok(pruned)
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        let (removal, compacted) = self.read(prune::old_beginnings(&self.readers, query)).await?;
        self.remove(removal).await?;
        Ok(compacted)
    }

    async fn check(&self) -> Result<(), Error> {
        self.read(read::ping(&self.readers)).await
    }

    async fn close(&self) {
        self.committer.close().await;
        if let Err(error) = self.readers.close_by_ref().await {
            tracing::warn!(%error, "the readers of the database did not close cleanly");
        }
    }
}

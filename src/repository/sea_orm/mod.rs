//! Tasks in a SQL database, through SeaORM.
//!
//! Writes go through committers, each of which puts everything that waits for it into one transaction; reads go to a
//! pool of their own. Both live in background tasks: dropping a request never cancels a database call. Start at
//! [`SeaOrmRepository::open_sqlite`] or [`SeaOrmRepository::open_postgres`].

mod api_keys;
mod audit;
mod batch;
mod beside;
mod committer;
mod connect;
mod entity;
mod explain;
mod failure;
mod lease;
mod link;
mod list;
mod maintenance;
mod open;
mod postgres;
mod prune;
mod push;
mod read;
mod readers;
mod removal;
mod schema;
mod sealing;
mod settings;
mod side;
mod snapshots;
mod sql;
mod transaction;
mod wal;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DbErr;

use self::committer::{Change, Committers, Work};
use self::connect::FileLock;
use self::link::Link;
use self::readers::Readers;
use self::sealing::Sealing;
use self::snapshots::{Snapshot, Snapshots};
use super::{
    CompactQuery, Compacted, Error, Interrupted, KnownKey, Lapsed, ListPage, ListQuery, OpenQuery,
    PruneQuery, Pruned, StoredTask, TaskRepository, TaskWrite,
};
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::shutdown::Shutdown;
use crate::task::TaskEvent;

pub use self::api_keys::ApiKeyDesk;
pub use self::audit::AuditRecords;
pub use self::beside::{Access, Beside};
pub use self::connect::{OpenError, migrate_sqlite};
pub use self::explain::{ListPlans, StatementPlan};
pub use self::maintenance::{
    BackupError, Finding, Maintenance, ResealError, Resealed, Stats, TaskCount, Verified,
};
pub use self::push::PushDesk;
pub use self::settings::DatabaseSettings;

/// A repository in a SQL database.
#[derive(Debug)]
pub struct SeaOrmRepository {
    readers: Readers,
    committers: Committers,
    snapshots: Arc<Snapshots>,
    sealing: Arc<Sealing>,
    _lock: Option<FileLock>,
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
        lease::end_all(&writer).await?;
        push::end_all(&writer).await?;
        let readers = connect::sqlite(path, settings.readers, true).await?;
        let readers = Link::to_file(readers, Some(settings.read_timeout));
        let sealing = Arc::new(Sealing::new(settings.keys.clone()));
        Ok(Self {
            readers: Readers::new(readers, settings.readers, settings.read_timeout, shutdown),
            committers: Committers::start(vec![Link::to_file(writer, None)], settings, &sealing, shutdown),
            snapshots: Arc::new(Snapshots::new(settings.snapshot_cache_bytes)),
            sealing,
            _lock: Some(lock),
        })
    }

    /// Opens the PostgreSQL database that a `postgres://` URL names and applies what migrations are missing, one process
    /// at a time. The URL's `sslmode`, `sslrootcert`, `sslcert` and `sslkey` choose TLS. Every session commits
    /// synchronously and with the limits of the settings, whatever the server's defaults are.
    ///
    /// Connections that are lost are made anew; while there are none, everything ends with [`Error::Unavailable`].
    ///
    /// # Errors
    /// When the URL can't be read, the server can't be reached, refuses the user or is too old, or the schema is newer
    /// than this program. No error shows the password.
    pub async fn open_postgres(
        url: &str,
        settings: &DatabaseSettings,
        shutdown: &Shutdown,
    ) -> Result<Self, OpenError> {
        postgres::probe(url, settings).await?;
        postgres::migrate(url, settings).await?;
        let read = postgres::options(url, settings, settings.readers);
        let readers = Link::to_server(postgres::pool(&read).await?, read, settings.read_timeout);
        let write = postgres::options(url, settings, 1);
        let mut writers = Vec::new();
        for _ in 0..settings.committers.max(1) {
            let pool = postgres::pool(&write).await?;
            writers.push(Link::to_server(pool, write.clone(), settings.commit_timeout));
        }
        let sealing = Arc::new(Sealing::new(settings.keys.clone()));
        Ok(Self {
            readers: Readers::new(readers, settings.readers, settings.read_timeout, shutdown),
            committers: Committers::start(writers, settings, &sealing, shutdown),
            snapshots: Arc::new(Snapshots::new(settings.snapshot_cache_bytes)),
            sealing,
            _lock: None,
        })
    }
}

/// Applies the missing migrations to the PostgreSQL database of a URL; the number applied. What a migration itself
/// takes has no limit of time: it may wait for another one, and for a large table.
///
/// # Errors
/// As for [`SeaOrmRepository::open_postgres`].
pub async fn migrate_postgres(url: &str, settings: &DatabaseSettings) -> Result<usize, OpenError> {
    postgres::probe(url, settings).await?;
    postgres::migrate(url, settings).await
}

/// Any error of the driver means that the outcome of a write is unknown and that trying again may help.
fn unavailable(error: DbErr) -> Error {
    Error::Unavailable(error.to_string())
}

#[async_trait]
impl TaskRepository for SeaOrmRepository {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        self.sealing.prepare(&write.push_configs).await?;
        let committer = self.committers.of(&write.task_id);
        let task_id = write.task_id.clone();
        let generation = write.generation();
        let snapshot = write.snapshot.clone();
        committer.run(|done| Work::Task(Box::new(write), done)).await?;
        if let Some(encoded) = snapshot {
            self.snapshots.keep(&task_id, &Snapshot { generation, encoded });
        }
        Ok(())
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        let (owner, scope, task_id) = (scope, scope.clone(), task_id.to_owned());
        let snapshots = self.snapshots.clone();
        self.readers
            .run_for(owner, move |pool| async move {
                read::task(&pool, &snapshots, &scope, &task_id).await
            })
            .await
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        let (owner, scope, task_id) = (scope, scope.clone(), task_id.to_owned());
        self.readers
            .run_for(owner, move |pool| async move {
                read::events(&pool, &scope, &task_id, after, limit).await
            })
            .await
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        let (owner, scope, query) = (scope, scope.clone(), query.clone());
        self.readers
            .run_for(owner, move |pool| async move {
                list::page(&pool, &scope, &query).await
            })
            .await
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        let (owner, scope, key) = (scope, scope.clone(), key.to_owned());
        self.readers
            .run_for(owner, move |pool| async move {
                side::known_key(&pool, &scope, &key, now_ms).await
            })
            .await
    }

    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        self.committers.renew(leases, ttl).await
    }

    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error> {
        let after = after.cloned();
        self.readers
            .run(move |pool| async move { lease::lapsed(&pool, after.as_ref(), limit).await })
            .await
    }

    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error> {
        let committer = self.committers.of(&lapsed.task_id);
        let lapsed = Box::new(lapsed.clone());
        committer.run(|done| Change::TakeOver { lapsed, ttl, done }).await
    }

    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error> {
        let committer = self.committers.of(task_id);
        let task_id = task_id.to_owned();
        committer
            .run(|done| Change::Release { task_id, epoch, done })
            .await
    }

    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error> {
        let (agent, after) = (agent.to_owned(), after.cloned());
        self.readers
            .run(move |pool| async move {
                lease::interrupted(&pool, &agent, until_ms, after.as_ref(), limit).await
            })
            .await
    }

    async fn check_push_configs(&self, configs: &[TaskPushNotificationConfig]) -> Result<(), Error> {
        self.sealing.prepare(configs).await
    }

    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error> {
        let query = query.clone();
        self.readers
            .run(move |pool| async move { open::count(&pool, &query).await })
            .await
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        self.sealing.prepare(std::slice::from_ref(config)).await?;
        let committer = self.committers.of(&config.task_id);
        let (scope, config) = (scope.clone(), Box::new(config.clone()));
        committer
            .run(|done| Change::PutPushConfig {
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
        let (owner, scope, task_id) = (scope, scope.clone(), task_id.to_owned());
        let sealing = self.sealing.clone();
        self.readers
            .run_for(owner, move |pool| async move {
                side::push_configs(&pool, &sealing, &scope, &task_id).await
            })
            .await
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        let committer = self.committers.of(task_id);
        let (scope, task_id, id) = (scope.clone(), task_id.to_owned(), id.to_owned());
        committer
            .run(|done| Change::DeletePushConfig {
                scope,
                task_id,
                id,
                done,
            })
            .await
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        self.readers
            .run(|pool| async move { prune::agents(&pool).await })
            .await
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        let wanted = query.clone();
        let find = |pool: Arc<_>| async move { prune::old_tasks(&pool, &wanted).await };
        let (removal, found) = self.readers.run(find).await?;
        let removed: Vec<_> = removal.0.iter().map(|part| part.task_id.clone()).collect();
        let gone = self.committers.remove(removal).await?;
        for task_id in removed {
            self.snapshots.forget(&task_id);
        }
        Ok(Pruned {
            tasks: gone.tasks,
            events: gone.events,
            // What others are at work on is left to the next pass; it would be found again at once.
            more: found.more && gone.tasks as u64 + gone.events > 0,
        })
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        let wanted = query.clone();
        let find = |pool: Arc<_>| async move { prune::old_beginnings(&pool, &wanted).await };
        let (removal, found) = self.readers.run(find).await?;
        let gone = self.committers.remove(removal).await?;
        Ok(Compacted {
            events: gone.events,
            next: found.next.filter(|next| gone.events > 0 || *next != query.after),
        })
    }

    async fn check(&self) -> Result<(), Error> {
        self.readers
            .run(|pool| async move { read::ping(&pool).await })
            .await
    }

    async fn close(&self) {
        self.committers.close().await;
        self.readers.close().await;
    }
}

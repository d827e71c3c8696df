//! Opening SQLite the way that keeps what it acknowledges.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use a2ad_migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, TransactionTrait,
};

use super::schema;
use crate::fault;

/// The oldest SQLite without the defect that a WAL reset could corrupt the database (3.7.0 to 3.51.2).
const SQLITE_VERSION_MIN: [u32; 3] = [3, 51, 3];

/// How long a statement waits for a lock of SQLite.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The lock file can't be made: usually a missing folder or missing rights.
    #[error("can't create {path}: {cause}; check that the folder exists and that a2ad may write to it")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Another process uses the database.
    #[error("another process uses {0}; SQLite databases belong to one a2ad at a time")]
    Locked(PathBuf),
    /// There is no such database.
    #[error("there is no database {0}")]
    Missing(PathBuf),
    /// The path is not text that a database URL could carry.
    #[error("the database path {0:?} is not valid UTF-8; choose another")]
    Path(PathBuf),
    /// The bundled SQLite is too old.
    #[error("SQLite {found} can corrupt its log; this program needs 3.51.3 or later")]
    Version {
        /// The version that is linked.
        found: String,
    },
    /// PostgreSQL can't be reached, or refuses.
    #[error("PostgreSQL at {url} can't be used: {cause}; {advice}")]
    Postgres {
        /// The URL without its password.
        url: String,
        /// What the server or the driver says.
        cause: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The server is older than its makers support.
    #[error("the server is PostgreSQL {found}; this program needs {min} or later")]
    PostgresVersion {
        /// Its major version.
        found: u32,
        /// The oldest that will do.
        min: u32,
    },
    /// The tables are not those of this program.
    #[error(
        "the database was not made by this version of a2ad: {0}; an earlier development version may have made it, and \
         nothing brings it up to date: name another database, or move this one away"
    )]
    Schema(String),
    /// The database refuses to open or to migrate.
    #[error(
        "the database can't be opened or migrated: {0}; check that it is one of a2ad, that it may be read and written, \
         and that there is space"
    )]
    Database(#[from] DbErr),
}

/// Holds `<database>.lock` for as long as the process uses the database. All leases of earlier processes are dead by
/// that, so what they left running can be taken up at once.
#[derive(Debug)]
pub(super) struct FileLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl FileLock {
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|cause| OpenError::Lock {
                path: path.clone(),
                cause,
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(database.to_owned())),
            Err(TryLockError::Error(cause)) => Err(OpenError::Lock { path, cause }),
        }
    }
}

/// A pool of at most `connections`. The writer's is one connection that is never closed while idle.
pub(super) async fn sqlite(
    path: &Path,
    connections: u32,
    read_only: bool,
) -> Result<DatabaseConnection, OpenError> {
    let text = path.to_str().ok_or_else(|| OpenError::Path(path.to_owned()))?;
    let file = PathBuf::from(text);
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections.max(1))
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(!read_only)
                .statement_cache_capacity(256)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", fault::synchronous())
                .pragma("foreign_keys", "OFF")
                .pragma("cache_size", "-16384")
                .pragma("temp_store", "MEMORY")
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        });
    Ok(Database::connect(options).await?)
}

/// One connection that can't write, not even what a database that was left in the middle of something would need.
pub(super) async fn sqlite_to_look(path: &Path) -> Result<DatabaseConnection, OpenError> {
    let text = path.to_str().ok_or_else(|| OpenError::Path(path.to_owned()))?;
    let file = PathBuf::from(text);
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .read_only(true)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("temp_store", "MEMORY")
        });
    Ok(Database::connect(options).await?)
}

/// All missing migrations or none of them: SQLite takes changes of the schema back with the rest of a transaction.
pub(super) async fn migrate(writer: &DatabaseConnection) -> Result<(), OpenError> {
    let transaction = writer.begin().await?;
    Migrator::up(&transaction, None).await?;
    fault::point("migration_step");
    transaction.commit().await?;
    schema::check(writer).await
}

/// Applies the missing migrations to the SQLite database at `path` and closes it again; the number applied.
///
/// # Errors
/// As for [`super::SeaOrmRepository::open_sqlite`].
pub async fn migrate_sqlite(path: &Path) -> Result<usize, OpenError> {
    let _lock = FileLock::take(path)?;
    let writer = sqlite(path, 1, false).await?;
    let pending = Migrator::get_pending_migrations(&writer).await?.len();
    migrate(&writer).await?;
    writer.close().await?;
    Ok(pending)
}

pub(super) async fn check_sqlite_version(connection: &DatabaseConnection) -> Result<(), OpenError> {
    let row = connection
        .query_one_raw(sea_orm::Statement::from_string(
            connection.get_database_backend(),
            "SELECT sqlite_version() AS version",
        ))
        .await?;
    let found: String = row
        .map(|row| row.try_get("", "version"))
        .transpose()?
        .unwrap_or_default();
    let mut numbers = found.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version: [u32; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    if version < SQLITE_VERSION_MIN {
        return Err(OpenError::Version { found });
    }
    tracing::debug!(sqlite.version = found, "database opened");
    Ok(())
}

/// Throws away the connection of a transaction that failed, so that the next one gets a new one.
///
/// SQLite ends a transaction by itself when the disk is full or fails. The driver does not notice and takes the next
/// `BEGIN` for a part of the one that is gone: what is committed from then on could stay in a transaction that is never
/// committed itself.
pub(super) async fn discard(writer: &DatabaseConnection) {
    if writer.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let closed = match writer.get_sqlite_connection_pool().acquire().await {
        Ok(connection) => connection.close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::warn!(%error, "a connection to the database did not close cleanly");
    }
}

//! What an operator does with a database beside the server that uses it: count, check, copy, seal anew.
//!
//! Nothing in here takes the lock of the database, and only [`Maintenance::reseal`] writes to it, a row at a time, so all
//! of it works while a server runs.

mod audit;
mod backup;
mod due;
mod reseal;
mod stats;
mod verify;

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, QueryResult, Statement, Value,
};

use super::connect::{BUSY_TIMEOUT, OpenError};
use super::{DatabaseSettings, postgres};

pub use backup::BackupError;
pub use reseal::{ResealError, Resealed};
pub use stats::{Stats, TaskCount};
pub use verify::{Finding, Verified};

/// A database beside the server that uses it, opened to look at it or to change it.
#[derive(Debug)]
pub struct Maintenance(DatabaseConnection);

impl Maintenance {
    /// Opens the SQLite database at `path`, which a server may have open, for reading only.
    ///
    /// # Errors
    /// When there is no such file or it can't be read. A file that is no database shows with the first question.
    pub async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        Self::sqlite(path, true).await
    }

    /// The same for writing too.
    ///
    /// # Errors
    /// As for [`Maintenance::open_sqlite`].
    pub async fn open_sqlite_to_write(path: &Path) -> Result<Self, OpenError> {
        Self::sqlite(path, false).await
    }

    async fn sqlite(path: &Path, read_only: bool) -> Result<Self, OpenError> {
        let text = path.to_str().ok_or_else(|| OpenError::Path(path.to_owned()))?;
        let file = std::path::PathBuf::from(text);
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
                    .read_only(read_only)
                    // As the server has it: what is acknowledged is on the disk.
                    .pragma("synchronous", "FULL")
                    .busy_timeout(BUSY_TIMEOUT)
                    .pragma("temp_store", "MEMORY")
            });
        Ok(Self(Database::connect(options).await?))
    }

    /// Opens the PostgreSQL database that a `postgres://` URL names, for reading only and without a limit of time for
    /// one statement: to count a large database takes its time.
    ///
    /// # Errors
    /// When the URL can't be read, or the server can't be reached or refuses.
    pub async fn open_postgres(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        let settings = DatabaseSettings {
            statement_timeout: Duration::ZERO,
            ..settings.clone()
        };
        postgres::probe(url, &settings).await?;
        Ok(Self(postgres::pool(&postgres::read_only(url, &settings)).await?))
    }

    /// The same for writing too, within the limits of the settings.
    ///
    /// # Errors
    /// As for [`Maintenance::open_postgres`].
    pub async fn open_postgres_to_write(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        postgres::probe(url, settings).await?;
        Ok(Self(postgres::pool(&postgres::options(url, settings, 1)).await?))
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When the driver can't close it cleanly.
    pub async fn close(self) -> Result<(), DbErr> {
        self.0.close().await
    }

    async fn rows(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let statement = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        self.0.query_all_raw(statement).await
    }
}

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

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, Value};

use super::DatabaseSettings;
use super::beside::{Access, Beside};
use super::connect::OpenError;

pub use backup::BackupError;
pub use reseal::{ResealError, Resealed};
pub use stats::{Stats, TaskCount};
pub use verify::{Finding, Verified};

/// A database beside the server that uses it, opened to look at it or to change it.
#[derive(Debug)]
pub struct Maintenance(DatabaseConnection);

impl From<Beside> for Maintenance {
    fn from(database: Beside) -> Self {
        Self(database.0)
    }
}

impl Maintenance {
    /// Opens the SQLite database at `path`, which a server may have open, for reading only.
    ///
    /// # Errors
    /// As for [`Beside::open_sqlite`].
    pub async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        Ok(Beside::open_sqlite(path, Access::Read).await?.into())
    }

    /// The same for writing too.
    ///
    /// # Errors
    /// As for [`Beside::open_sqlite`].
    pub async fn open_sqlite_to_write(path: &Path) -> Result<Self, OpenError> {
        Ok(Beside::open_sqlite(path, Access::Write).await?.into())
    }

    /// Opens the PostgreSQL database that a `postgres://` URL names, for reading only.
    ///
    /// # Errors
    /// As for [`Beside::open_postgres`].
    pub async fn open_postgres(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        Ok(Beside::open_postgres(url, settings, Access::Read).await?.into())
    }

    /// The same for writing too.
    ///
    /// # Errors
    /// As for [`Beside::open_postgres`].
    pub async fn open_postgres_to_write(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        Ok(Beside::open_postgres(url, settings, Access::Write).await?.into())
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

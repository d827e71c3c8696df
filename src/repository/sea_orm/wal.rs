//! SQLite's write-ahead log must not grow without end.
//!
//! SQLite copies the log into the database after every few commits, but can only begin it anew while nobody reads from
//! it. Readers that overlap all the time would keep it growing for ever.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::connect::BUSY_TIMEOUT;

/// How long commits wait for readers to step off the log, each time that it is too long.
const READERS_WAIT: Duration = Duration::from_millis(50);

/// The limit of the log, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wal {
    pub(super) bytes_max: u64,
}

impl Wal {
    /// Begins the log anew if it is longer than its limit and readers let go of it in time; else a later call does.
    pub(super) async fn bound(self, writer: &DatabaseConnection) {
        if writer.get_database_backend() != DbBackend::Sqlite {
            return;
        }
        match self.truncate(writer).await {
            Ok(Some(bytes)) => tracing::debug!(bytes, "the write-ahead log begins anew"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be cut"),
        }
    }

    /// The bytes that the log had, if it was cut.
    async fn truncate(self, writer: &DatabaseConnection) -> Result<Option<u64>, DbErr> {
        let bytes = size(writer).await?;
        if bytes <= self.bytes_max {
            return Ok(None);
        }
        wait_at_most(writer, READERS_WAIT).await?;
        let cut = query_number(writer, "PRAGMA wal_checkpoint(TRUNCATE)", "busy").await;
        wait_at_most(writer, BUSY_TIMEOUT).await?;
        Ok((cut? == 0).then_some(bytes))
    }
}

/// The bytes of the log as it lies on the disk; 0 without one.
pub(super) async fn size(connection: &DatabaseConnection) -> Result<u64, DbErr> {
    let path = database_path(connection).await?;
    let mut name = path.into_os_string();
    name.push("-wal");
    Ok(std::fs::metadata(name).map_or(0, |file| file.len()))
}

/// Where the database lies.
pub(super) async fn database_path(connection: &DatabaseConnection) -> Result<PathBuf, DbErr> {
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await?;
    let path: Option<String> = row.map(|row| row.try_get("", "file")).transpose()?;
    Ok(PathBuf::from(path.unwrap_or_default()))
}

async fn wait_at_most(connection: &DatabaseConnection, limit: Duration) -> Result<(), DbErr> {
    let sql = format!("PRAGMA busy_timeout = {}", limit.as_millis());
    connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await?;
    Ok(())
}

async fn query_number(connection: &DatabaseConnection, sql: &str, column: &str) -> Result<i64, DbErr> {
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await?;
    Ok(row
        .map(|row| row.try_get("", column))
        .transpose()?
        .unwrap_or_default())
}

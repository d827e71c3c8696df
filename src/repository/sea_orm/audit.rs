//! Audit records beside the tasks: rows that are only ever added, and removed from their beginning. Each row is a batch of
//! records, found by the last one of them.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Value};

use super::beside::{Access, Beside};
use super::committer::{Change, Done};
use super::connect::OpenError;
use super::link::Link;
use super::read::unsigned;
use super::sql::{INSERT_AUDIT, number, statement};
use super::transaction::{self, Failure};
use super::{DatabaseSettings, SeaOrmRepository, unavailable};
use crate::audit::{Row, Store};
use crate::repository::Error;

const NEWEST: &str = "SELECT chain, seq, at_ms, record FROM audit_record \
     ORDER BY at_ms DESC, chain DESC, seq DESC LIMIT 1";

const ANY_BEFORE: &str = "SELECT seq FROM audit_record WHERE at_ms < $1 LIMIT 1";

/// The last old row of each chain that goes on behind it.
const LAST_BEFORE: &str = "SELECT r.chain, r.seq, r.at_ms, r.record FROM audit_record r \
     JOIN (SELECT chain, MAX(seq) AS seq FROM audit_record WHERE at_ms < $1 GROUP BY chain) old \
     ON r.chain = old.chain AND r.seq = old.seq \
     WHERE EXISTS (SELECT 1 FROM audit_record l WHERE l.chain = r.chain AND l.seq > r.seq) \
     ORDER BY r.chain";

const REMOVE: &str = "DELETE FROM audit_record WHERE (chain, seq) IN (SELECT chain, seq FROM audit_record \
     WHERE at_ms < $1 ORDER BY at_ms, chain, seq LIMIT $2)";

/// What audit records want of a committer.
pub(super) enum Work {
    Append(Vec<Row>, Done<()>),
    /// The oldest rows from before a time, and at most so many.
    Remove(i64, u64, Done<u64>),
}

impl Work {
    pub(super) async fn run(self, link: &Link) {
        match self {
            Self::Append(rows, done) => {
                let append = async |pool: Arc<_>| append(&pool, &rows).await;
                let _ = done.send(link.run(append).await);
            }
            Self::Remove(before_ms, limit, done) => {
                let remove = async |pool: Arc<_>| remove(&pool, before_ms, limit).await;
                let _ = done.send(link.run(remove).await);
            }
        }
    }
}

/// Writes all rows that are not there yet.
async fn append(connection: &DatabaseConnection, rows: &[Row]) -> Result<(), Error> {
    let values = rows.iter().flat_map(|row| {
        [
            Value::from(row.chain.as_str()),
            number(row.seq),
            Value::from(row.at_ms),
            Value::from(row.text.as_str()),
        ]
    });
    let statements = INSERT_AUDIT.statements(connection.get_database_backend(), values.collect());
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let mut written: Result<(), Failure> = Ok(());
    for insert in statements {
        if let Err(error) = transaction.execute_raw(insert).await {
            written = Err(error.into());
            break;
        }
    }
    Ok(transaction::end(connection, transaction, written).await?)
}

/// Removes the oldest rows from before a time.
async fn remove(connection: &DatabaseConnection, before_ms: i64, limit: u64) -> Result<u64, Error> {
    let remove = statement(connection, REMOVE, [Value::from(before_ms), number(limit)]);
    let removed = connection.execute_raw(remove).await.map_err(unavailable)?;
    Ok(removed.rows_affected())
}

async fn newest(connection: &DatabaseConnection) -> Result<Option<Row>, Error> {
    let newest = statement(connection, NEWEST, []);
    let found = connection.query_one_raw(newest).await.map_err(unavailable)?;
    found.as_ref().map(row).transpose().map_err(unavailable)
}

async fn last_before(connection: &DatabaseConnection, before_ms: i64) -> Result<Option<Vec<Row>>, Error> {
    let any = statement(connection, ANY_BEFORE, [Value::from(before_ms)]);
    if connection
        .query_one_raw(any)
        .await
        .map_err(unavailable)?
        .is_none()
    {
        return Ok(None);
    }
    let last = statement(connection, LAST_BEFORE, [Value::from(before_ms)]);
    let rows = connection.query_all_raw(last).await.map_err(unavailable)?;
    let rows = rows.iter().map(row).collect::<Result<_, _>>();
    rows.map(Some).map_err(unavailable)
}

/// A row as it was read.
pub(super) fn row(row: &QueryResult) -> Result<Row, DbErr> {
    Ok(Row {
        chain: row.try_get("", "chain")?,
        seq: unsigned(row.try_get("", "seq")?),
        at_ms: row.try_get("", "at_ms")?,
        text: row.try_get("", "record")?,
    })
}

#[async_trait]
impl Store for SeaOrmRepository {
    async fn append(&self, rows: &[Row]) -> Result<(), String> {
        let Some(first) = rows.first() else { return Ok(()) };
        let rows = rows.to_vec();
        let appended = self.committers.of(&first.chain);
        let appended = appended.run(|done| Change::Audit(Work::Append(rows, done)));
        appended.await.map_err(|error| error.to_string())
    }

    async fn newest(&self) -> Result<Option<Row>, String> {
        let read = self
            .readers
            .run(|pool: Arc<_>| async move { newest(&pool).await });
        read.await.map_err(|error| error.to_string())
    }

    async fn last_before(&self, before_ms: i64) -> Result<Option<Vec<Row>>, String> {
        let read = self
            .readers
            .run(move |pool: Arc<_>| async move { last_before(&pool, before_ms).await });
        read.await.map_err(|error| error.to_string())
    }

    async fn remove_before(&self, before_ms: i64, limit: u64) -> Result<u64, String> {
        let committer = self.committers.of("");
        let removed = committer.run(|done| Change::Audit(Work::Remove(before_ms, limit, done)));
        removed.await.map_err(|error| error.to_string())
    }
}

/// The audit records of a database that a server may have open: for the few records of an operator's commands.
#[derive(Debug)]
pub struct AuditRecords(DatabaseConnection);

impl AuditRecords {
    /// Those of the SQLite database at `path`.
    ///
    /// # Errors
    /// When there is no such file, or it can't be written.
    pub async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        Ok(Self(Beside::open_sqlite(path, Access::Write).await?.0))
    }

    /// Those of the PostgreSQL database that a URL names.
    ///
    /// # Errors
    /// As for [`SeaOrmRepository::open_postgres`].
    pub async fn open_postgres(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        let database = Beside::open_postgres(url, settings, Access::Write).await?;
        Ok(Self(database.0))
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When the driver can't close it cleanly.
    pub async fn close(self) -> Result<(), DbErr> {
        self.0.close().await
    }
}

#[async_trait]
impl Store for AuditRecords {
    async fn append(&self, rows: &[Row]) -> Result<(), String> {
        append(&self.0, rows).await.map_err(|error| error.to_string())
    }

    async fn newest(&self) -> Result<Option<Row>, String> {
        newest(&self.0).await.map_err(|error| error.to_string())
    }

    async fn last_before(&self, before_ms: i64) -> Result<Option<Vec<Row>>, String> {
        let last = last_before(&self.0, before_ms).await;
        last.map_err(|error| error.to_string())
    }

    async fn remove_before(&self, before_ms: i64, limit: u64) -> Result<u64, String> {
        let removed = remove(&self.0, before_ms, limit).await;
        removed.map_err(|error| error.to_string())
    }
}

//! Reading one task: its newest snapshot and the events behind it, in one statement.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, Value};

use super::unavailable;
use crate::context::Scope;
use crate::pb::Task;
use crate::repository::{Error, StoredTask, log};
use crate::task::{TaskEvent, replay};

const TASK: &str = "SELECT t.epoch, t.attempt, t.snapshot_generation, l.last_generation, l.first_generation, l.events, l.snapshot \
     FROM task t JOIN task_log l ON l.task_id = t.id AND l.last_generation >= t.snapshot_generation \
     WHERE t.id = $1 AND t.agent = $2 AND t.owner = $3 ORDER BY l.last_generation";

const EVENTS: &str = "SELECT l.first_generation, l.events \
     FROM task t JOIN task_log l ON l.task_id = t.id AND l.last_generation > $4 \
     WHERE t.id = $1 AND t.agent = $2 AND t.owner = $3 ORDER BY l.last_generation LIMIT $5";

/// A row of the log, with the snapshot if it holds one.
pub(super) struct LogRow {
    pub(super) first_generation: u64,
    pub(super) last_generation: u64,
    pub(super) events: Vec<u8>,
    pub(super) snapshot: Option<Vec<u8>>,
}

impl LogRow {
    pub(super) fn from_row(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            first_generation: unsigned(row.try_get("", "first_generation")?),
            last_generation: unsigned(row.try_get("", "last_generation")?),
            events: row.try_get("", "events")?,
            snapshot: row.try_get("", "snapshot")?,
        })
    }
}

pub(super) fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

pub(super) fn attempt(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The task as it stands; `None` if the caller has no task of this id.
pub(super) async fn task(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
) -> Result<Option<StoredTask>, Error> {
    let statement = scoped(connection, TASK, scope, task_id, []);
    let rows = connection.query_all_raw(statement).await.map_err(unavailable)?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let epoch = unsigned(first.try_get("", "epoch").map_err(unavailable)?);
    let snapshot_generation = unsigned(first.try_get("", "snapshot_generation").map_err(unavailable)?);
    let rows = rows
        .iter()
        .map(LogRow::from_row)
        .collect::<Result<Vec<_>, _>>()
        .map_err(unavailable)?;
    let attempt = attempt(first.try_get("", "attempt").map_err(unavailable)?);
    fold(task_id, snapshot_generation, (epoch, attempt), rows).map(Some)
}

/// Folds the rows of one task's log, of which the first one holds the snapshot if there is one.
pub(super) fn fold(
    task_id: &str,
    snapshot_generation: u64,
    (epoch, attempt): (u64, u32),
    rows: Vec<LogRow>,
) -> Result<StoredTask, Error> {
    let corrupt = |cause: String| Error::Corrupt {
        task_id: task_id.to_owned(),
        cause,
    };
    let generation = rows.last().map_or(0, |row| row.last_generation);
    let mut task = None;
    let mut events = Vec::new();
    for row in rows {
        if snapshot_generation > 0 && row.last_generation == snapshot_generation {
            let bytes = row
                .snapshot
                .ok_or_else(|| corrupt("the snapshot is missing".to_owned()))?;
            task = Some(Task::decode(Bytes::from(bytes)).map_err(|error| corrupt(error.to_string()))?);
        } else {
            events.extend(log::decode(task_id, row.first_generation, row.events.into())?);
        }
    }
    let task = replay(task, snapshot_generation, &events).map_err(|error| corrupt(error.to_string()))?;
    let task = task.ok_or_else(|| corrupt("the log is empty".to_owned()))?;
    Ok(StoredTask {
        task,
        generation,
        snapshot_generation,
        epoch,
        attempt,
    })
}

/// The events behind `after`, at most `limit`.
pub(super) async fn events(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Arc<TaskEvent>>, Error> {
    // A row holds one event or more, so `limit` rows are always enough.
    let bound = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let statement = scoped(
        connection,
        EVENTS,
        scope,
        task_id,
        [bound(after), bound(limit as u64)],
    );
    let rows = connection.query_all_raw(statement).await.map_err(unavailable)?;
    let mut events = Vec::new();
    for row in &rows {
        let first = unsigned(row.try_get("", "first_generation").map_err(unavailable)?);
        let column: Vec<u8> = row.try_get("", "events").map_err(unavailable)?;
        events.extend(log::decode(task_id, first, column.into())?);
    }
    events.retain(|event| event.generation > after);
    events.truncate(limit);
    Ok(events)
}

/// Whether the database answers.
pub(super) async fn ping(connection: &DatabaseConnection) -> Result<(), Error> {
    connection.ping().await.map_err(unavailable)
}

/// A statement whose first three values are the task and the scope.
fn scoped<const N: usize>(
    connection: &DatabaseConnection,
    sql: &str,
    scope: &Scope,
    task_id: &str,
    more: [Value; N],
) -> Statement {
    let scope = [
        Value::from(task_id),
        Value::from(&*scope.agent),
        Value::from(scope.owner.as_str()),
    ];
    Statement::from_sql_and_values(
        connection.get_database_backend(),
        sql,
        scope.into_iter().chain(more),
    )
}

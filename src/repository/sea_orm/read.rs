//! Reading one task: its newest snapshot and the events behind it, in one statement.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, Value};

use super::snapshots::{Snapshot, Snapshots};
use super::sql::number;
use super::unavailable;
use crate::context::Scope;
use crate::pb::Task;
use crate::repository::{Error, StoredTask, log};
use crate::task::{ReplayError, TaskEvent, replay};

/// From the newest snapshot on, or behind event `$4` if that is later. The join is an outer one: a task without a log is
/// damaged, and not a task that does not exist.
const TASK: &str = "SELECT t.epoch, t.message, t.attempt, t.lease_until_ms, t.generation, t.snapshot_generation, l.last_generation, \
     l.first_generation, l.events, l.snapshot \
     FROM task t LEFT JOIN task_log l ON l.task_id = t.id \
     AND l.last_generation >= CASE WHEN t.snapshot_generation > $4 THEN t.snapshot_generation ELSE $4 + 1 END \
     WHERE t.id = $1 AND t.agent = $2 AND t.owner = $3 ORDER BY l.last_generation";

/// Behind as many events as this, what they make is kept like a snapshot.
const FOLDED_MIN: u64 = 64;

const EVENTS: &str = "SELECT t.generation, t.first_generation AS floor, l.last_generation, l.first_generation, l.events \
     FROM task t LEFT JOIN task_log l ON l.task_id = t.id AND l.last_generation > $4 \
     WHERE t.id = $1 AND t.agent = $2 AND t.owner = $3 ORDER BY l.last_generation LIMIT $5";

/// A row of the log, with the snapshot if it holds one.
pub(super) struct LogRow {
    pub(super) first_generation: u64,
    pub(super) last_generation: u64,
    pub(super) events: Vec<u8>,
    pub(super) snapshot: Option<Bytes>,
}

impl LogRow {
    /// `None` where an outer join found no row.
    pub(super) fn from_row(row: &QueryResult) -> Result<Option<Self>, DbErr> {
        let Some(last_generation) = row.try_get::<Option<i64>>("", "last_generation")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            first_generation: unsigned(row.try_get("", "first_generation")?),
            last_generation: unsigned(last_generation),
            events: row.try_get("", "events")?,
            snapshot: row.try_get::<Option<Vec<u8>>>("", "snapshot")?.map(Bytes::from),
        }))
    }
}

/// What the row of a task says about its log.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) generation: u64,
    pub(super) snapshot_generation: u64,
    pub(super) epoch: u64,
    pub(super) held: bool,
    pub(super) message: u32,
    pub(super) attempt: u32,
}

impl Head {
    pub(super) fn from_row(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            generation: unsigned(row.try_get("", "generation")?),
            snapshot_generation: unsigned(row.try_get("", "snapshot_generation")?),
            epoch: unsigned(row.try_get("", "epoch")?),
            held: row.try_get::<i64>("", "lease_until_ms")? > 0,
            message: small(row.try_get("", "message")?),
            attempt: small(row.try_get("", "attempt")?),
        })
    }
}

pub(super) fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

pub(super) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The task as it stands; `None` if the caller has no task of this id.
pub(super) async fn task(
    connection: &DatabaseConnection,
    snapshots: &Snapshots,
    scope: &Scope,
    task_id: &str,
) -> Result<Option<StoredTask>, Error> {
    let mut kept = snapshots.of(task_id);
    let mut found = log_of(connection, scope, task_id, kept.as_ref()).await?;
    if let (Some((head, _)), Some(later)) = (&found, &kept)
        && later.generation > head.generation
    {
        // The database was put back to what it was before.
        snapshots.forget(task_id);
        kept = None;
        found = log_of(connection, scope, task_id, None).await?;
    }
    let Some((head, rows)) = found else {
        return Ok(None);
    };
    let snapshot = match kept.filter(|kept| kept.generation >= head.snapshot_generation) {
        Some(kept) => Some(kept),
        None => newest(task_id, head, &rows)?,
    };
    let stored = fold(task_id, head, snapshot.as_ref(), rows)?;
    let from = snapshot.as_ref().map_or(0, |snapshot| snapshot.generation);
    if stored.generation >= from + FOLDED_MIN {
        snapshots.keep_folded(&stored);
    } else if let Some(snapshot) = &snapshot {
        snapshots.keep(task_id, snapshot);
    }
    Ok(Some(stored))
}

/// The row of the task, and those of its log that are needed beside what is `kept` of it.
async fn log_of(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
    kept: Option<&Snapshot>,
) -> Result<Option<(Head, Vec<LogRow>)>, Error> {
    let behind = kept.map_or(0, |kept| kept.generation);
    let statement = scoped(connection, TASK, scope, task_id, [number(behind)]);
    let rows = connection.query_all_raw(statement).await.map_err(unavailable)?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let head = Head::from_row(first).map_err(unavailable)?;
    let rows = rows
        .iter()
        .filter_map(|row| LogRow::from_row(row).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unavailable)?;
    Ok(Some((head, rows)))
}

/// The newest snapshot, out of the rows that begin with it.
pub(super) fn newest(task_id: &str, head: Head, rows: &[LogRow]) -> Result<Option<Snapshot>, Error> {
    let holds =
        |row: &&LogRow| head.snapshot_generation > 0 && row.last_generation == head.snapshot_generation;
    let row = rows.first().filter(holds);
    row.map(|row| snapshot(task_id, row)).transpose()
}

/// Folds the rows of one task's log onto its newest snapshot, if there is one.
pub(super) fn fold(
    task_id: &str,
    head: Head,
    snapshot: Option<&Snapshot>,
    rows: Vec<LogRow>,
) -> Result<StoredTask, Error> {
    let Head {
        generation,
        snapshot_generation,
        epoch,
        held,
        message,
        attempt,
    } = head;
    let damaged = |generation: u64, cause: String| log::damaged(task_id, generation, cause);
    let from = snapshot.map_or(0, |snapshot| snapshot.generation);
    if from < snapshot_generation {
        return Err(damaged(snapshot_generation, "the snapshot is missing".to_owned()));
    }
    let task = snapshot.map(|snapshot| decoded(task_id, snapshot)).transpose()?;
    let mut events = Vec::new();
    let mut last = from;
    for row in rows.into_iter().filter(|row| row.last_generation > from) {
        last = row.last_generation;
        let range = (row.first_generation, row.last_generation);
        events.extend(log::decode_all(task_id, range, row.events.into())?);
    }
    let task = replay(task, from, &events)
        .map_err(|error| damaged(generation_of(&error, generation), error.to_string()))?;
    let task = task.filter(|_| last == generation);
    let task = task.ok_or_else(|| damaged(last + 1, "the event is missing".to_owned()))?;
    Ok(StoredTask {
        task,
        generation,
        snapshot_generation,
        epoch,
        held,
        message,
        attempt,
    })
}

/// The snapshot of a row.
pub(super) fn snapshot(task_id: &str, row: &LogRow) -> Result<Snapshot, Error> {
    let generation = row.last_generation;
    let column = row
        .snapshot
        .clone()
        .ok_or_else(|| log::damaged(task_id, generation, "the snapshot is missing"))?;
    let encoded = log::decode_snapshot(task_id, generation, column)?;
    Ok(Snapshot { generation, encoded })
}

/// The task of a snapshot.
pub(super) fn decoded(task_id: &str, snapshot: &Snapshot) -> Result<Task, Error> {
    Task::decode(snapshot.encoded.clone())
        .map_err(|error| log::damaged(task_id, snapshot.generation, error.to_string()))
}

/// The event that a replay stopped at, or `last` if the error does not say.
pub(super) fn generation_of(error: &ReplayError, last: u64) -> u64 {
    match error {
        ReplayError::Gap { after, .. } => after + 1,
        ReplayError::Undecodable(generation) => *generation,
        ReplayError::NoTask => 1,
        ReplayError::Refused(_) => last,
    }
}

/// The events behind `after`, at most `limit`, as far as they are sound.
pub(super) async fn events(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Arc<TaskEvent>>, Error> {
    // A row holds one event or more, so `limit` rows are always enough.
    let statement = scoped(
        connection,
        EVENTS,
        scope,
        task_id,
        [number(after), number(limit as u64)],
    );
    let rows = connection.query_all_raw(statement).await.map_err(unavailable)?;
    let Some(head) = rows.first() else {
        return Ok(Vec::new());
    };
    let floor = unsigned(head.try_get("", "floor").map_err(unavailable)?);
    let generation = unsigned(head.try_get("", "generation").map_err(unavailable)?);
    if after >= generation {
        return Ok(Vec::new());
    }
    if after + 1 < floor {
        return Err(Error::Expired { first: floor });
    }
    let mut run = Run::behind(task_id, after, limit);
    for row in &rows {
        let Some(last) = row
            .try_get::<Option<i64>>("", "last_generation")
            .map_err(unavailable)?
        else {
            break;
        };
        let first = unsigned(row.try_get("", "first_generation").map_err(unavailable)?);
        let column = row.try_get("", "events").map_err(unavailable)?;
        if !run.take((first, unsigned(last)), column) {
            break;
        }
    }
    run.end()
}

/// Events that follow each other without a gap, as far as they are sound.
struct Run<'a> {
    task_id: &'a str,
    /// The generation before the next event.
    last: u64,
    limit: usize,
    events: Vec<Arc<TaskEvent>>,
    damage: Option<Error>,
}

impl<'a> Run<'a> {
    fn behind(task_id: &'a str, after: u64, limit: usize) -> Self {
        Self {
            task_id,
            last: after,
            limit,
            events: Vec::new(),
            damage: None,
        }
    }

    /// Adds the events of a row; false when no more can follow.
    fn take(&mut self, (first, last): (u64, u64), column: Vec<u8>) -> bool {
        if first > self.last + 1 {
            return false;
        }
        // What stands before the cursor was read before, and its damage is not this reader's.
        let seen = (self.last + 1).saturating_sub(first) as usize;
        for event in log::decode(self.task_id, (first, last), column.into())
            .into_iter()
            .skip(seen)
        {
            match event {
                Ok(event) => {
                    self.last = event.generation;
                    self.events.push(event);
                }
                Err(damage) => {
                    self.damage = Some(damage);
                    return false;
                }
            }
        }
        true
    }

    /// What was read; the error comes when nothing sound stands before it.
    fn end(mut self) -> Result<Vec<Arc<TaskEvent>>, Error> {
        if !self.events.is_empty() {
            self.events.truncate(self.limit);
            return Ok(self.events);
        }
        Err(self
            .damage
            .unwrap_or_else(|| log::damaged(self.task_id, self.last + 1, "the event is missing")))
    }
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

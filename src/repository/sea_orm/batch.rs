//! One transaction for many tasks.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Value};

use super::failure::{is_final, is_of_the_rows};
use super::sealing::Sealing;
use super::sql::{
    INSERT_HELD_TASK, INSERT_KEY, INSERT_LOG, INSERT_PUSH_CONFIG, INSERT_TASK, KEPT, ManyRows, RELEASED,
    UPDATE_TASK, number,
};
use super::transaction::{self, Failure};
use super::{push, side, unavailable};
use crate::fault;
use crate::repository::types::millis;
use crate::repository::{Error, IdempotencyKey, Lease, TaskWrite, log};

/// A row was not where its writer believed it to be, or a key is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conflict {
    Task,
    Key,
}

impl Failure<Conflict> {
    /// True if one write may be to blame, and the others would do better without it.
    fn is_of_one(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Database(error) => is_of_the_rows(error),
        }
    }
}

/// Writes all of `writes` in one transaction. If one of them conflicts or can't be stored, each half in one of its own
/// and so on, until it stands alone: nobody suffers from a neighbour, and one among hundreds costs a few transactions,
/// not hundreds. The results are in the order of the writes, which are of different tasks with different keys.
pub(super) async fn write(
    connection: &DatabaseConnection,
    sealing: &Sealing,
    writes: &[&TaskWrite],
) -> Vec<Result<(), Error>> {
    let mut results = vec![Ok(()); writes.len()];
    // The left half comes first: of two writes that want the same key, the earlier one gets it.
    let mut left = Vec::with_capacity(16);
    left.push(0..writes.len());
    while let Some(range) = left.pop() {
        match write_all(connection, sealing, &writes[range.clone()]).await {
            Ok(()) => {}
            Err(failure) if range.len() > 1 && failure.is_of_one() => {
                let middle = range.start + range.len() / 2;
                left.extend([middle..range.end, range.start..middle]);
            }
            Err(Failure::Database(error)) if is_final(&error) => {
                results[range].fill(Err(Error::Unstorable(error.to_string())));
            }
            Err(Failure::Database(error)) => results[range].fill(Err(unavailable(error))),
            Err(Failure::Refused(conflict)) => {
                results[range.start] = Err(conflicting(connection, writes[range.start], conflict).await);
            }
        }
    }
    results
}

async fn conflicting(connection: &DatabaseConnection, write: &TaskWrite, conflict: Conflict) -> Error {
    match conflict {
        Conflict::Task => Error::Stale,
        Conflict::Key => key_taken(connection, write).await,
    }
}

async fn key_taken(connection: &DatabaseConnection, write: &TaskWrite) -> Error {
    for key in &write.keys {
        match side::known_key(connection, &write.scope, &key.key, write.status_ms).await {
            Ok(Some(known)) => return Error::KeyTaken(known.task_id),
            Ok(None) => {}
            Err(error) => return error,
        }
    }
    Error::Stale
}

async fn write_all(
    connection: &DatabaseConnection,
    sealing: &Sealing,
    writes: &[&TaskWrite],
) -> Result<(), Failure<Conflict>> {
    let push = push_rows(sealing, writes)?;
    let transaction = transaction::begin(connection).await?;
    let filled = fill(&transaction, writes, push).await;
    if filled.is_ok() {
        fault::point("before_commit");
    }
    transaction::end(connection, transaction, filled).await
}

/// Tasks that others may know come before keys, keys before push configurations, and each of them in an order of its own
/// that all processes share.
async fn fill(
    transaction: &DatabaseTransaction,
    writes: &[&TaskWrite],
    push: Vec<Value>,
) -> Result<(), Failure<Conflict>> {
    let (created, mut moved): (Vec<&TaskWrite>, Vec<&TaskWrite>) =
        writes.iter().partition(|write| write.expected_generation == 0);
    moved.sort_unstable_by(|a, b| a.task_id.cmp(&b.task_id));
    let (held, settled): (Vec<&TaskWrite>, Vec<&TaskWrite>) = created
        .iter()
        .partition(|write| matches!(write.lease, Lease::Held(_)));
    let keys = key_rows(writes);
    execute(
        transaction,
        &INSERT_TASK,
        rows(&settled, task_row),
        Conflict::Task,
    )
    .await?;
    execute(
        transaction,
        &INSERT_HELD_TASK,
        rows(&held, held_task_row),
        Conflict::Task,
    )
    .await?;
    execute(transaction, &UPDATE_TASK, rows(&moved, move_row), Conflict::Task).await?;
    execute(transaction, &INSERT_LOG, rows(writes, log_row), Conflict::Task).await?;
    execute(transaction, &INSERT_KEY, keys, Conflict::Key).await?;
    let streams = push::lock_streams(transaction, &moved).await?;
    execute(transaction, &INSERT_PUSH_CONFIG, push, Conflict::Task).await?;
    Ok(push::note(transaction, writes, streams).await?)
}

/// The values of one row for each write, one behind the other.
fn rows<const N: usize>(writes: &[&TaskWrite], row: fn(&TaskWrite) -> [Value; N]) -> Vec<Value> {
    writes.iter().flat_map(|write| row(write)).collect()
}

/// Runs `many` over all rows; fewer rows than that is a conflict.
async fn execute(
    transaction: &DatabaseTransaction,
    many: &ManyRows,
    values: Vec<Value>,
    conflict: Conflict,
) -> Result<(), Failure<Conflict>> {
    for statement in many.statements(transaction.get_database_backend(), values) {
        let rows = many.rows(&statement);
        if transaction.execute_raw(statement).await?.rows_affected() != rows {
            return Err(Failure::Refused(conflict));
        }
    }
    Ok(())
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn task_row(write: &TaskWrite) -> [Value; 10] {
    [
        text(&write.task_id),
        text(&write.scope.agent),
        text(write.scope.owner.as_str()),
        text(&write.context_id),
        Value::from(i64::from(i32::from(write.state))),
        Value::from(write.status_ms),
        Value::from(write.status_ms),
        number(write.generation()),
        number(write.epoch),
        number(write.snapshot_generation),
    ]
}

fn held_task_row(write: &TaskWrite) -> [Value; 13] {
    let [
        id,
        agent,
        owner,
        context,
        state,
        status,
        created,
        generation,
        epoch,
        snapshot,
    ] = task_row(write);
    let [message, attempt, lease] = standing(write);
    [
        id, agent, owner, context, state, status, created, generation, epoch, snapshot, message, attempt,
        lease,
    ]
}

/// The message and the attempt, and the lease as milliseconds or one of the numbers that stand for something else.
fn standing(write: &TaskWrite) -> [Value; 3] {
    let lease = match write.lease {
        Lease::Released => RELEASED,
        Lease::Kept => KEPT,
        Lease::Held(ttl) => millis(ttl),
    };
    [i64::from(write.message), i64::from(write.attempt), lease].map(Value::from)
}

fn move_row(write: &TaskWrite) -> [Value; 13] {
    let [message, attempt, lease] = standing(write);
    [
        text(&write.task_id),
        text(&write.scope.agent),
        text(write.scope.owner.as_str()),
        number(write.expected_generation),
        number(write.expected_epoch),
        Value::from(i64::from(i32::from(write.state))),
        Value::from(write.status_ms),
        number(write.generation()),
        number(write.epoch),
        number(write.snapshot_generation),
        message,
        attempt,
        lease,
    ]
}

fn log_row(write: &TaskWrite) -> [Value; 7] {
    let snapshot = write
        .snapshot
        .as_ref()
        .map(|snapshot| log::encode_snapshot(&write.task_id, write.generation(), snapshot));
    [
        text(&write.task_id),
        number(write.generation()),
        number(write.expected_generation + 1),
        Value::from(write.at_ms),
        Value::from(log::encode(&write.task_id, &write.events)),
        Value::Bytes(snapshot),
        number(write.epoch),
    ]
}

/// Every key once, the last of a write's own, in an order that all committers share: two that wait for each other's
/// keys would wait for ever.
fn key_rows(writes: &[&TaskWrite]) -> Vec<Value> {
    let mut keys = BTreeMap::new();
    for write in writes {
        for key in &write.keys {
            let place = (&*write.scope.agent, write.scope.owner.as_str(), &*key.key);
            keys.insert(place, (write, key));
        }
    }
    let row = |((agent, owner, name), (write, key)): ((&str, &str, &str), (&&TaskWrite, &IdempotencyKey))| {
        [
            text(agent),
            text(owner),
            text(name),
            text(&write.task_id),
            Value::from(side::encode_fingerprint(&write.scope, &key.key, &key.fingerprint)),
            Value::from(write.status_ms),
            Value::from(key.expires_ms),
        ]
    };
    keys.into_iter().flat_map(row).collect()
}

/// Every configuration of a task once, the last of each id.
fn push_rows(sealing: &Sealing, writes: &[&TaskWrite]) -> Result<Vec<Value>, DbErr> {
    let mut rows = Vec::new();
    for write in writes {
        let configs = write.push_configs.iter();
        let by_id: BTreeMap<&str, _> = configs.map(|config| (config.id.as_str(), config)).collect();
        for config in by_id.into_values() {
            rows.extend(side::push_row(
                sealing,
                &write.scope,
                config,
                !write.events.is_empty(),
            )?);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use sea_orm::Statement;

    use super::*;
    use crate::secrets::KeySource;

    fn unsealed() -> Sealing {
        Sealing::new(KeySource::none())
    }
    use crate::repository::conformance::{Sketch, scope};
    use crate::repository::sea_orm::snapshots::Snapshots;
    use crate::repository::sea_orm::{connect, read};

    /// A row that breaks a rule of the tables is refused for good, whatever is in the same batch.
    #[tokio::test]
    async fn what_cant_be_stored_is_told_from_an_outage() {
        let folder = tempfile::tempdir().unwrap();
        let writer = connect::sqlite(&folder.path().join("tasks.db"), 1, false)
            .await
            .unwrap();
        connect::migrate(&writer).await.unwrap();
        let rule = "CREATE TRIGGER rule BEFORE INSERT ON task_log WHEN NEW.task_id = 'bad' \
                    BEGIN SELECT RAISE(ABORT, 'against the rule'); END";
        writer.execute_unprepared(rule).await.unwrap();
        let create = |id: &str| Sketch::new(&scope("ada"), id).create();
        let writes = [create("a"), create("bad"), create("b")];
        let results = write(&writer, &unsealed(), &writes.iter().collect::<Vec<_>>()).await;
        assert!(
            matches!(&results[..], [Ok(()), Err(Error::Unstorable(why)), Ok(())] if why.contains("rule")),
            "{results:?}"
        );
    }

    /// SQLite ends the transaction by itself when it is full, which the driver does not notice: a later conflict then
    /// left a transaction open in which everything else was "committed" that came behind it.
    #[tokio::test]
    async fn what_is_committed_after_a_full_disk_and_a_conflict_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let writer = connect::sqlite(&path, 1, false).await.unwrap();
        connect::migrate(&writer).await.unwrap();
        let other = connect::sqlite(&path, 1, true).await.unwrap();
        let scope = scope("ada");
        let mut large = Sketch::new(&scope, "large");
        let (create, chunks) = (large.create(), large.chunks(&[&"x".repeat(1 << 20)]));
        assert_eq!(write(&writer, &unsealed(), &[&create]).await, [Ok(())]);

        let limit_pages = async |pages: u32| {
            let limit = format!("PRAGMA max_page_count = {pages}");
            let limit = Statement::from_string(writer.get_database_backend(), limit);
            writer.query_one_raw(limit).await.unwrap();
        };
        limit_pages(1).await;
        let results = write(&writer, &unsealed(), &[&chunks]).await;
        assert!(matches!(results[..], [Err(Error::Unavailable(_))]), "{results:?}");
        limit_pages(1_000_000).await;
        assert_eq!(write(&writer, &unsealed(), &[&create]).await, [Err(Error::Stale)]);
        let small = Sketch::new(&scope, "small").create();
        assert_eq!(
            write(&writer, &unsealed(), &[&small, &chunks]).await,
            [Ok(()), Ok(())]
        );

        for id in ["small", "large"] {
            let seen = read::task(&other, &Snapshots::new(0), &scope, id).await.unwrap();
            assert!(seen.is_some(), "{id} is acknowledged, and nobody else sees it");
        }
        assert_eq!(
            read::task(&other, &Snapshots::new(0), &scope, "large").await,
            Ok(Some(large.stored()))
        );
    }
}

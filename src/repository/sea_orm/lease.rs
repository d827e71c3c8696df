//! Leases: who may write a task, until when, and which tasks wait for somebody to take them up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, TransactionTrait, Value};

use super::read::{small, unsigned};
use super::sql::{RENEW_LEASE, with_time};
use super::unavailable;
use crate::context::{Principal, Scope};
use crate::fault;
use crate::repository::types::millis;
use crate::repository::{Error, Interrupted, Lapsed};

const TAKE_OVER: &str = "UPDATE task SET epoch = epoch + 1, lease_until_ms = {now} + $5 \
     WHERE id = $1 AND agent = $2 AND owner = $3 AND epoch = $4 AND lease_until_ms > 0 AND lease_until_ms <= {now}";

const RELEASE: &str = "UPDATE task SET lease_until_ms = 0 WHERE id = $1 AND epoch = $2";

const LAPSED: &str = "SELECT id, agent, owner, epoch, attempt, lease_until_ms FROM task \
     WHERE lease_until_ms > 0 AND lease_until_ms <= {now} AND (lease_until_ms, id) > ($1, $2) \
     ORDER BY lease_until_ms, id LIMIT $3";

const INTERRUPTED: &str = "SELECT id, agent, owner, status_ms FROM task \
     WHERE state IN (6, 8) AND agent = $1 AND status_ms <= $2 AND (status_ms, id) > ($3, $4) \
     ORDER BY status_ms, id LIMIT $5";

const END_ALL: &str = "UPDATE task SET lease_until_ms = 1 WHERE lease_until_ms > 0";

/// Prolongs leases; the tasks whose lease is not theirs any more.
pub(super) async fn renew(
    connection: &DatabaseConnection,
    leases: &[(Arc<str>, u64)],
    ttl: Duration,
) -> Result<Vec<Arc<str>>, Error> {
    let rows = leases
        .iter()
        .flat_map(|(task_id, epoch)| [Value::from(&**task_id), number(*epoch), Value::from(millis(ttl))]);
    let statements = RENEW_LEASE.statements(connection.get_database_backend(), rows.collect());
    let renewed = renew_all(connection, statements).await.map_err(unavailable)?;
    let refused = leases.iter().filter(|(task_id, _)| !renewed.contains(&**task_id));
    Ok(refused.map(|(task_id, _)| task_id.clone()).collect())
}

/// All of them in one transaction, because each would be synced to the disk by itself otherwise.
async fn renew_all(
    connection: &DatabaseConnection,
    statements: Vec<Statement>,
) -> Result<HashSet<String>, DbErr> {
    let transaction = connection.begin().await?;
    let mut renewed = HashSet::new();
    for statement in statements {
        for row in transaction.query_all_raw(statement).await? {
            renewed.insert(row.try_get("", "id")?);
        }
    }
    fault::point("lease_renew");
    transaction.commit().await?;
    Ok(renewed)
}

/// Takes a task over if its lease ran out and nobody else was quicker.
pub(super) async fn take_over(
    connection: &DatabaseConnection,
    lapsed: &Lapsed,
    ttl: Duration,
) -> Result<bool, Error> {
    let values = [
        Value::from(lapsed.task_id.as_str()),
        Value::from(&*lapsed.scope.agent),
        Value::from(lapsed.scope.owner.as_str()),
        number(lapsed.epoch),
        Value::from(millis(ttl)),
    ];
    let done = connection
        .execute_raw(statement(connection, TAKE_OVER, values))
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Ends a lease for good; `false` if it is somebody else's by now.
pub(super) async fn release(
    connection: &DatabaseConnection,
    task_id: &str,
    epoch: u64,
) -> Result<bool, Error> {
    let values = [Value::from(task_id), number(epoch)];
    let done = connection
        .execute_raw(statement(connection, RELEASE, values))
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Tasks whose lease ran out, by the time when it did.
pub(super) async fn lapsed(
    connection: &DatabaseConnection,
    after: Option<&Lapsed>,
    limit: usize,
) -> Result<Vec<Lapsed>, Error> {
    let (until_ms, task_id) = after.map_or((0, ""), |after| (after.lease_until_ms, &after.task_id));
    let values = [Value::from(until_ms), Value::from(task_id), bound(limit)];
    read(connection, LAPSED, values, |row| {
        Ok(Lapsed {
            scope: scope(row)?,
            task_id: row.try_get("", "id")?,
            epoch: unsigned(row.try_get("", "epoch")?),
            attempt: small(row.try_get("", "attempt")?),
            lease_until_ms: row.try_get("", "lease_until_ms")?,
        })
    })
    .await
}

/// Tasks that have waited for their callers too long.
pub(super) async fn interrupted(
    connection: &DatabaseConnection,
    agent: &str,
    until_ms: i64,
    after: Option<&Interrupted>,
    limit: usize,
) -> Result<Vec<Interrupted>, Error> {
    let (status_ms, task_id) = after.map_or((i64::MIN, ""), |after| (after.status_ms, &after.task_id));
    let values = [
        Value::from(agent),
        Value::from(until_ms),
        Value::from(status_ms),
        Value::from(task_id),
        bound(limit),
    ];
    read(connection, INTERRUPTED, values, |row| {
        Ok(Interrupted {
            scope: scope(row)?,
            task_id: row.try_get("", "id")?,
            status_ms: row.try_get("", "status_ms")?,
        })
    })
    .await
}

/// Ends every lease there is: for a database that belongs to this process alone, so that all holders are dead.
pub(super) async fn end_all(connection: &DatabaseConnection) -> Result<(), DbErr> {
    connection.execute_unprepared(END_ALL).await?;
    Ok(())
}

async fn read<T, const N: usize>(
    connection: &DatabaseConnection,
    sql: &str,
    values: [Value; N],
    row: impl Fn(&QueryResult) -> Result<T, DbErr>,
) -> Result<Vec<T>, Error> {
    let rows = connection
        .query_all_raw(statement(connection, sql, values))
        .await
        .map_err(unavailable)?;
    rows.iter()
        .map(row)
        .collect::<Result<_, _>>()
        .map_err(unavailable)
}

fn statement<const N: usize>(connection: &DatabaseConnection, sql: &str, values: [Value; N]) -> Statement {
    let backend = connection.get_database_backend();
    Statement::from_sql_and_values(backend, with_time(backend, sql), values)
}

fn scope(row: &QueryResult) -> Result<Scope, DbErr> {
    let (agent, owner): (String, String) = (row.try_get("", "agent")?, row.try_get("", "owner")?);
    Ok(Scope {
        agent: Arc::from(agent),
        owner: Principal::verified(&owner),
    })
}

fn number(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

fn bound(limit: usize) -> Value {
    number(limit as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::sea_orm::connect;

    /// How SQLite runs a statement, one step a line.
    async fn plan<const N: usize>(connection: &DatabaseConnection, sql: &str, values: [Value; N]) -> String {
        let explained = statement(connection, &format!("EXPLAIN QUERY PLAN {sql}"), values);
        let rows = connection.query_all_raw(explained).await.unwrap();
        let steps: Vec<String> = rows
            .iter()
            .map(|row| row.try_get("", "detail").unwrap())
            .collect();
        steps.join("\n")
    }

    #[tokio::test]
    async fn sweeps_read_their_own_index_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connect::sqlite(&folder.path().join("tasks.db"), 1, false)
            .await
            .unwrap();
        connect::migrate(&connection).await.unwrap();
        let (one, text) = (|| Value::from(1i64), || Value::from("t"));
        let plans = [
            (
                "task_lease (lease_until_ms>?",
                plan(&connection, LAPSED, [one(), text(), one()]).await,
            ),
            (
                "task_interrupted (agent=? AND (status_ms,id)>(?,?)",
                plan(&connection, INTERRUPTED, [text(), one(), one(), text(), one()]).await,
            ),
            (
                "task_lease (lease_until_ms>?",
                plan(&connection, END_ALL, []).await,
            ),
        ];
        for (index, plan) in plans {
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

//! Leases: who may write a task, until when, and which tasks wait for somebody to take them up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value,
};

use super::read::{small, unsigned};
use super::sql::{RENEW_LEASE, number, statement};
use super::transaction::{self, Failure};
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
    let statements = renewing(connection.get_database_backend(), leases, ttl);
    // In one transaction, because each statement would be synced to the disk by itself otherwise.
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let renewed = renew_all(&transaction, statements).await.map_err(Failure::from);
    let renewed = transaction::end(connection, transaction, renewed).await?;
    let refused = leases.iter().filter(|(task_id, _)| !renewed.contains(&**task_id));
    Ok(refused.map(|(task_id, _)| task_id.clone()).collect())
}

/// In the order of the ids, as everything that takes several tasks.
fn renewing(backend: DbBackend, leases: &[(Arc<str>, u64)], ttl: Duration) -> Vec<Statement> {
    let mut leases: Vec<&(Arc<str>, u64)> = leases.iter().collect();
    leases.sort_unstable();
    let rows = leases
        .into_iter()
        .flat_map(|(task_id, epoch)| [Value::from(&**task_id), number(*epoch), Value::from(millis(ttl))]);
    RENEW_LEASE.statements(backend, rows.collect())
}

async fn renew_all(
    transaction: &DatabaseTransaction,
    statements: Vec<Statement>,
) -> Result<HashSet<String>, DbErr> {
    let mut renewed = HashSet::new();
    for statement in statements {
        for row in transaction.query_all_raw(statement).await? {
            renewed.insert(row.try_get("", "id")?);
        }
    }
    fault::point("lease_renew");
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
    let values = [Value::from(until_ms), Value::from(task_id), number(limit as u64)];
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
        number(limit as u64),
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

fn scope(row: &QueryResult) -> Result<Scope, DbErr> {
    let (agent, owner): (String, String) = (row.try_get("", "agent")?, row.try_get("", "owner")?);
    Ok(Scope {
        agent: Arc::from(agent),
        owner: Principal::verified(&owner),
    })
}

/// The statements of this file with some values, by what they are for: for who wants to see their plans.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let (one, text) = (|| Value::from(1_i64), || Value::from("t"));
    let own = |sql: &str, values: &[Value]| statement(connection, sql, values.to_vec());
    let leases: Vec<_> = (0..64).map(|n| (Arc::from(format!("t{n}")), 1)).collect();
    let renewing = renewing(connection.get_database_backend(), &leases, Duration::from_secs(1));
    let mut statements = vec![
        ("tasks whose lease ran out", own(LAPSED, &[one(), text(), one()])),
        (
            "tasks that wait for their callers",
            own(
                INTERRUPTED,
                &[Value::from("echo"), number(u64::MAX), one(), text(), number(100)],
            ),
        ),
        (
            "take a task over",
            own(
                TAKE_OVER,
                &[text(), Value::from("echo"), Value::from("o1"), one(), one()],
            ),
        ),
    ];
    if connection.get_database_backend() == DbBackend::Sqlite {
        statements.push(("end all leases", own(END_ALL, &[])));
    }
    statements.extend(renewing.into_iter().map(|renew| ("prolong leases", renew)));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::conformance::{Sketch, scope};
    use crate::repository::sea_orm::sealing::Sealing;
    use crate::repository::sea_orm::snapshots::Snapshots;
    use crate::repository::sea_orm::{batch, connect, read};
    use crate::secrets::KeySource;

    /// Like its twin among the commits: a renewal that met a full disk left a transaction open in which everything else
    /// was "committed" that came behind it.
    #[tokio::test]
    async fn what_is_committed_after_a_renewal_on_a_full_disk_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let writer = connect::sqlite(&path, 1, false).await.unwrap();
        connect::migrate(&writer).await.unwrap();
        let other = connect::sqlite(&path, 1, true).await.unwrap();
        let scope = scope("ada");
        let mut held = Sketch::new(&scope, "held");
        held.lease = Duration::from_secs(60);
        let (create, write) = (held.create(), Sketch::new(&scope, "behind").create());
        let sealing = Sealing::new(KeySource::none());
        assert_eq!(batch::write(&writer, &sealing, &[&create]).await, [Ok(())]);
        let leases = [(Arc::from("held"), create.epoch)];
        // The end of the disk as SQLite sees it, without the disk: the transaction is gone, and the driver does not know.
        let fill = "CREATE TEMP TRIGGER full BEFORE UPDATE ON task BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        writer.execute_unprepared(fill).await.unwrap();
        let refused = renew(&writer, &leases, Duration::from_secs(60)).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        writer
            .execute_unprepared("DROP TRIGGER IF EXISTS temp.full")
            .await
            .unwrap();

        assert_eq!(
            batch::write(&writer, &sealing, &[&create]).await,
            [Err(Error::Stale)]
        );
        assert_eq!(batch::write(&writer, &sealing, &[&write]).await, [Ok(())]);
        assert_eq!(
            renew(&writer, &leases, Duration::from_secs(60)).await,
            Ok(Vec::new())
        );
        let seen = read::task(&other, &Snapshots::new(0), &scope, "behind")
            .await
            .unwrap();
        assert!(seen.is_some(), "it is acknowledged, and nobody else sees it");
    }
}

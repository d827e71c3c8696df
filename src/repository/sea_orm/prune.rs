//! Retention: which rows are old is found by a reader; the writer only removes them, in turn with the commits.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait, Value};

use super::read::unsigned;
use super::sql::DELETE_TASKS;
use super::{connect, unavailable};
use crate::fault;
use crate::repository::retention::{Beginning, Ended, Written, beginning, fitting};
use crate::repository::{CompactQuery, Compacted, Error, PruneQuery, Pruned};

/// One step through the index of tasks for each agent, however many tasks each has.
const NEXT_AGENT: &str = "SELECT MIN(agent) AS agent FROM task WHERE agent > $1";

/// The list of states is that of the index `task_by_age`, word for word: only so the database knows that it may use it.
const OLD_TASKS: &str = "SELECT id, first_generation, generation, snapshot_generation FROM task \
     WHERE agent = $1 AND state = $2 AND state IN (3, 4, 5, 7) AND status_ms < $3 ORDER BY status_ms, id LIMIT $4";

/// The condition is that of the index `task_with_snapshot`, word for word.
const WITH_SNAPSHOT: &str = "SELECT t.id, t.first_generation, t.snapshot_generation, \
     (SELECT l.at_ms FROM task_log l WHERE l.task_id = t.id ORDER BY l.last_generation LIMIT 1) AS oldest_ms \
     FROM task t WHERE snapshot_generation > first_generation AND t.id > $1 ORDER BY t.id LIMIT $2";

const COMMITS: &str = "SELECT last_generation, at_ms FROM task_log WHERE task_id = $1 AND last_generation < $2 \
     ORDER BY last_generation LIMIT $3";

const MOVE_FLOOR: &str = "UPDATE task SET first_generation = $2 \
     WHERE id = $1 AND first_generation < $2 AND snapshot_generation >= $2";

const DELETE_BEGINNING: &str = "DELETE FROM task_log WHERE task_id = $1 AND last_generation < $2";

/// What one turn removes.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// Tasks that go as a whole.
    tasks: Vec<String>,
    /// Tasks whose log will begin with this generation.
    beginnings: Vec<(String, u64)>,
}

impl Removal {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.beginnings.is_empty()
    }
}

fn number(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}

/// The names of all agents that have tasks.
pub(super) async fn agents(connection: &DatabaseConnection) -> Result<Vec<String>, Error> {
    let mut agents: Vec<String> = Vec::new();
    loop {
        let after = agents.last().map_or("", String::as_str);
        let next = statement(connection, NEXT_AGENT, [Value::from(after)]);
        let row = connection.query_one_raw(next).await.map_err(unavailable)?;
        let agent = row
            .map(|row| row.try_get::<Option<String>>("", "agent"))
            .transpose()
            .map_err(unavailable)?
            .flatten();
        match agent {
            Some(agent) => agents.push(agent),
            None => return Ok(agents),
        }
    }
}

/// What a turn of pruning removes, and what that means.
pub(super) async fn old_tasks(
    connection: &DatabaseConnection,
    query: &PruneQuery,
) -> Result<(Removal, Pruned), Error> {
    let ended = ended(connection, query).await?;
    let Some(first) = ended.first() else {
        return Ok(Default::default());
    };
    if first.is_long(query.limit) {
        let from = first.first_generation;
        let snapshot = first.snapshot_generation;
        let found = beginning_of(
            connection,
            &first.task_id,
            (from, snapshot),
            i64::MAX,
            query.limit,
            0,
        )
        .await?;
        if found.through >= from {
            return Ok(long_task(first, found));
        }
    }
    let gone = &ended[..fitting(&ended, query.limit)];
    let pruned = Pruned {
        tasks: gone.len(),
        events: gone.iter().map(Ended::events).sum(),
        more: gone.len() < ended.len(),
    };
    let removal = Removal {
        tasks: gone.iter().map(|task| task.task_id.clone()).collect(),
        beginnings: Vec::new(),
    };
    Ok((removal, pruned))
}

/// A task that is too long for one turn loses a beginning of its log.
fn long_task(task: &Ended, found: Beginning) -> (Removal, Pruned) {
    let removal = Removal {
        tasks: Vec::new(),
        beginnings: vec![(task.task_id.clone(), found.through + 1)],
    };
    let pruned = Pruned {
        tasks: 0,
        events: found.through + 1 - task.first_generation,
        more: true,
    };
    (removal, pruned)
}

/// One task more than a turn can take, to see whether another turn follows.
async fn ended(connection: &DatabaseConnection, query: &PruneQuery) -> Result<Vec<Ended>, Error> {
    let values = [
        Value::from(&*query.agent),
        Value::from(i64::from(i32::from(query.state))),
        Value::from(query.before_ms),
        number(query.limit as u64 + 1),
    ];
    let old = statement(connection, OLD_TASKS, values);
    let rows = connection.query_all_raw(old).await.map_err(unavailable)?;
    let ended = rows.iter().map(|row| {
        Ok(Ended {
            task_id: row.try_get("", "id")?,
            first_generation: unsigned(row.try_get("", "first_generation")?),
            generation: unsigned(row.try_get("", "generation")?),
            snapshot_generation: unsigned(row.try_get("", "snapshot_generation")?),
        })
    });
    ended.collect::<Result<_, _>>().map_err(unavailable)
}

/// What a turn of compaction removes, and what that means.
pub(super) async fn old_beginnings(
    connection: &DatabaseConnection,
    query: &CompactQuery,
) -> Result<(Removal, Compacted), Error> {
    let values = [Value::from(query.after.as_str()), number(query.limit as u64 + 1)];
    let with_snapshot = statement(connection, WITH_SNAPSHOT, values);
    let rows = connection
        .query_all_raw(with_snapshot)
        .await
        .map_err(unavailable)?;
    let (mut removal, mut done) = (Removal::default(), Compacted::default());
    let mut after = query.after.clone();
    for row in rows.iter().take(query.limit) {
        let task_id: String = row.try_get("", "id").map_err(unavailable)?;
        let first = unsigned(row.try_get("", "first_generation").map_err(unavailable)?);
        let snapshot = unsigned(row.try_get("", "snapshot_generation").map_err(unavailable)?);
        let oldest: Option<i64> = row.try_get("", "oldest_ms").map_err(unavailable)?;
        if oldest.is_some_and(|oldest_ms| oldest_ms < query.before_ms) {
            let range = (first, snapshot);
            let found = beginning_of(
                connection,
                &task_id,
                range,
                query.before_ms,
                query.limit,
                done.events,
            )
            .await?;
            if found.through >= first {
                done.events += found.through + 1 - first;
                removal.beginnings.push((task_id.clone(), found.through + 1));
            }
            if found.is_cut {
                done.next = Some(after);
                return Ok((removal, done));
            }
        }
        after = task_id;
    }
    done.next = (rows.len() > query.limit).then_some(after);
    Ok((removal, done))
}

/// How far the log of a task can go that begins with generation `first` and has a snapshot.
async fn beginning_of(
    connection: &DatabaseConnection,
    task_id: &str,
    (first, snapshot): (u64, u64),
    before_ms: i64,
    limit: usize,
    spent: u64,
) -> Result<Beginning, Error> {
    let values = [
        Value::from(task_id),
        number(snapshot),
        // A commit has one event or more: one commit more than fits shows that there is more.
        number(limit as u64 + 1),
    ];
    let commits = statement(connection, COMMITS, values);
    let rows = connection.query_all_raw(commits).await.map_err(unavailable)?;
    let commits = rows.iter().map(|row| {
        Ok(Written {
            last_generation: unsigned(row.try_get("", "last_generation")?),
            at_ms: row.try_get("", "at_ms")?,
        })
    });
    let commits: Vec<Written> = commits.collect::<Result<_, _>>().map_err(unavailable)?;
    Ok(beginning(commits.into_iter(), first, before_ms, limit, spent))
}

/// Removes rows in one transaction. What somebody else has removed already is no error.
pub(super) async fn remove(connection: &DatabaseConnection, removal: &Removal) -> Result<(), Error> {
    let removed = transaction(connection, removal).await;
    if removed.is_err() {
        connect::discard(connection).await;
    }
    removed.map_err(unavailable)
}

async fn transaction(connection: &DatabaseConnection, removal: &Removal) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    for many in &DELETE_TASKS {
        let ids = removal.tasks.iter().map(|id| Value::from(id.as_str()));
        for delete in many.statements(transaction.get_database_backend(), ids.collect()) {
            transaction.execute_raw(delete).await?;
        }
    }
    for (task_id, first) in &removal.beginnings {
        let values = || [Value::from(task_id.as_str()), number(*first)];
        let moved = transaction
            .execute_raw(statement(&transaction, MOVE_FLOOR, values()))
            .await?;
        if moved.rows_affected() == 1 {
            transaction
                .execute_raw(statement(&transaction, DELETE_BEGINNING, values()))
                .await?;
        }
    }
    fault::point("prune_batch");
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    /// What SQLite says that it would do, one step a line.
    async fn plan(connection: &DatabaseConnection, sql: &str) -> String {
        let places = sql.matches('$').map(|_| Value::from(1_i64));
        let explain = Statement::from_sql_and_values(
            DbBackend::Sqlite,
            format!("EXPLAIN QUERY PLAN {sql}"),
            places.collect::<Vec<_>>(),
        );
        let rows = connection.query_all_raw(explain).await.unwrap();
        let steps: Vec<String> = rows
            .iter()
            .map(|row| row.try_get("", "detail").unwrap())
            .collect();
        steps.join("\n")
    }

    #[tokio::test]
    async fn every_step_has_its_index_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connect::sqlite(&folder.path().join("tasks.db"), 1, false)
            .await
            .unwrap();
        connect::migrate(&connection).await.unwrap();
        let deletes = DELETE_TASKS.map(|many| {
            let ids = vec![Value::from("a"), Value::from("b")];
            many.statements(DbBackend::Sqlite, ids)[0].sql.clone()
        });
        let steps = [
            (
                OLD_TASKS.to_owned(),
                "INDEX task_by_age (agent=? AND state=? AND status_ms<?)",
            ),
            (WITH_SNAPSHOT.to_owned(), "INDEX task_with_snapshot (id>?)"),
            (NEXT_AGENT.to_owned(), "INDEX task_by_"),
            (COMMITS.to_owned(), "(task_id=? AND last_generation<?)"),
            (DELETE_BEGINNING.to_owned(), "(task_id=? AND last_generation<?)"),
            (MOVE_FLOOR.to_owned(), "(id=?)"),
            (deletes[0].clone(), "INDEX idempotency_key_task (task_id=?)"),
            (deletes[1].clone(), "(task_id=?)"),
            (deletes[2].clone(), "(task_id=?)"),
            (deletes[3].clone(), "(id=?)"),
        ];
        for (sql, step) in steps {
            let plan = plan(&connection, &sql).await;
            assert!(plan.contains(step), "{sql}: {plan}");
            // The list of ids is a scan of a constant.
            let scans = plan
                .lines()
                .filter(|line| line.starts_with("SCAN") && !line.contains("CONSTANT"));
            assert_eq!(scans.count(), 0, "{sql}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}

//! Retention: which rows are old is found by a reader; the writers only remove them, see [`super::removal`].

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};

use super::read::unsigned;
use super::removal::{Part, Removal};
use super::sql::{number, statement};
use super::unavailable;
use crate::repository::retention::{Beginning, Ended, Written, beginning, fitting};
use crate::repository::{CompactQuery, Compacted, Error, PruneQuery, Pruned};

/// One step through the index of tasks for each agent, however many tasks each has.
const NEXT_AGENT: &str = "SELECT MIN(agent) AS agent FROM task WHERE agent > $1";

/// The list of states is that of the index `task_by_age`: only so the database knows that it may use it. What waits to be
/// sent keeps its task; dead letters don't.
const OLD_TASKS: &str = "SELECT id, first_generation, generation, snapshot_generation FROM task \
     WHERE agent = $1 AND state = $2 AND state IN (3, 4, 5, 7) AND status_ms < $3 \
     AND NOT EXISTS (SELECT 1 FROM push_config p WHERE p.task_id = task.id AND p.due_ms IS NOT NULL) \
     ORDER BY status_ms, id LIMIT $4";

/// The condition is that of the index `task_with_snapshot`. What the outbox names, dead or not, stays in the log.
const WITH_SNAPSHOT: &str = "SELECT t.id, t.first_generation, t.snapshot_generation, \
     (SELECT l.at_ms FROM task_log l WHERE l.task_id = t.id ORDER BY l.last_generation LIMIT 1) AS oldest_ms, \
     (SELECT MIN(o.generation) FROM push_outbox o WHERE o.task_id = t.id) AS first_named \
     FROM task t WHERE snapshot_generation > first_generation AND t.id > $1 ORDER BY t.id LIMIT $2";

const COMMITS: &str = "SELECT last_generation, at_ms FROM task_log WHERE task_id = $1 AND last_generation < $2 \
     ORDER BY last_generation LIMIT $3";

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
    let whole = gone.iter().map(|task| Part {
        task_id: task.task_id.clone(),
        keep_from: None,
        events: task.events(),
    });
    let removal = Removal(whole.collect());
    Ok((removal, pruned))
}

/// A task that is too long for one turn loses a beginning of its log.
fn long_task(task: &Ended, found: Beginning) -> (Removal, Pruned) {
    let events = found.through + 1 - task.first_generation;
    let removal = Removal(vec![Part {
        task_id: task.task_id.clone(),
        keep_from: Some(found.through + 1),
        events,
    }]);
    let pruned = Pruned {
        tasks: 0,
        events,
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
        number((query.limit as u64).saturating_add(1)),
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
    let values = [
        Value::from(query.after.as_str()),
        number((query.limit as u64).saturating_add(1)),
    ];
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
        let first_named: Option<i64> = row.try_get("", "first_named").map_err(unavailable)?;
        let before = first_named.map_or(snapshot, |named| snapshot.min(unsigned(named)));
        let oldest: Option<i64> = row.try_get("", "oldest_ms").map_err(unavailable)?;
        if oldest.is_some_and(|oldest_ms| oldest_ms < query.before_ms) {
            let range = (first, before);
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
                let events = found.through + 1 - first;
                done.events += events;
                removal.0.push(Part {
                    task_id: task_id.clone(),
                    keep_from: Some(found.through + 1),
                    events,
                });
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

/// How far the log of a task can go that begins with generation `first`, of which a snapshot stands for all that is before
/// the generation `before`.
async fn beginning_of(
    connection: &DatabaseConnection,
    task_id: &str,
    (first, before): (u64, u64),
    before_ms: i64,
    limit: usize,
    spent: u64,
) -> Result<Beginning, Error> {
    let values = [
        Value::from(task_id),
        number(before),
        // A commit has one event or more: one commit more than fits shows that there is more.
        number((limit as u64).saturating_add(1)),
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

/// The statements of this file with some values, by what they are for: for who wants to see their plans.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let text = || Value::from("t00100");
    let own = |sql: &str, values: &[Value]| statement(connection, sql, values.to_vec());
    vec![
        ("the next agent", own(NEXT_AGENT, &[Value::from("")])),
        (
            "ended tasks that are old",
            own(
                OLD_TASKS,
                &[Value::from("echo"), number(3), number(u64::MAX), number(500)],
            ),
        ),
        (
            "tasks with a snapshot",
            own(WITH_SNAPSHOT, &[text(), number(500)]),
        ),
        (
            "commits of a log",
            own(COMMITS, &[text(), number(9), number(500)]),
        ),
    ]
}

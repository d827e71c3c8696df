//! What retention takes from the database, in the writers' transactions.
//!
//! A removal never waits for a lock: what another transaction is at work on, of this process or of another, stays until
//! the next turn. So nobody waits for a removal that waits for somebody else, and a commit waits for one no longer than
//! its statements take.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, Value};

use super::read::unsigned;
use super::sql::{
    DELETE_TASKS, FREE_KEYS, FREE_PUSH_CONFIGS, FREE_TASKS, KEYS, ManyRows, PUSH_CONFIGS, WAITING, number,
    statement,
};
use super::transaction::{self, Failure};
use super::unavailable;
use crate::fault;
use crate::repository::Error;

const MOVE_FLOOR: &str = "UPDATE task SET first_generation = $2 \
     WHERE id = $1 AND first_generation < $2 AND snapshot_generation >= $2";

const DELETE_BEGINNING: &str = "DELETE FROM task_log WHERE task_id = $1 AND last_generation < $2";

/// There are none where a log loses its beginning because a snapshot stands for it, and only dead ones where its task is
/// about to go.
const DELETE_DELIVERIES: &str = "DELETE FROM push_outbox WHERE task_id = $1 AND generation < $2";

/// What one turn removes, or as much of it as goes through one writer.
#[derive(Debug, Default)]
pub(super) struct Removal(pub(super) Vec<Part>);

/// What goes of one task.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) task_id: String,
    /// The generation that its log will begin with; `None` when the task goes as a whole.
    pub(super) keep_from: Option<u64>,
    /// How many events go.
    pub(super) events: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) tasks: usize,
    pub(super) events: u64,
}

impl Gone {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            tasks: self.tasks + other.tasks,
            events: self.events + other.events,
        }
    }
}

/// Removes rows in one transaction. What somebody else has removed already, or is at work on, is no error.
pub(super) async fn remove(connection: &DatabaseConnection, removal: &Removal) -> Result<Gone, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let gone = take(&transaction, removal).await.map_err(Failure::from);
    fault::point("prune_batch");
    Ok(transaction::end(connection, transaction, gone).await?)
}

async fn take(transaction: &DatabaseTransaction, removal: &Removal) -> Result<Gone, DbErr> {
    let free = free(transaction, removal).await?;
    let parts = removal.0.iter().filter(|part| free.contains(&part.task_id));
    let (whole, beginnings): (Vec<&Part>, Vec<&Part>) = parts.partition(|part| part.keep_from.is_none());
    let ids: Vec<&str> = whole.iter().map(|part| part.task_id.as_str()).collect();
    for many in &DELETE_TASKS {
        for delete in of_tasks(transaction, many, &ids) {
            transaction.execute_raw(delete).await?;
        }
    }
    let mut gone = Gone {
        tasks: whole.len(),
        events: whole.iter().map(|part| part.events).sum(),
    };
    for part in beginnings {
        let values = || {
            [
                Value::from(part.task_id.as_str()),
                number(part.keep_from.unwrap_or(0)),
            ]
        };
        let move_floor = statement(transaction, MOVE_FLOOR, values());
        if transaction.execute_raw(move_floor).await?.rows_affected() == 1 {
            let delete = statement(transaction, DELETE_BEGINNING, values());
            transaction.execute_raw(delete).await?;
            let deliveries = statement(transaction, DELETE_DELIVERIES, values());
            transaction.execute_raw(deliveries).await?;
            gone.events += part.events;
        }
    }
    Ok(gone)
}

/// The tasks that are there, that with their keys and push configurations nobody else is at work on, and of which nothing
/// that would go waits to be sent. A key belongs to its task's writers and, once it has expired, to whoever binds it
/// anew; a configuration to them and to whoever sends what waits for it.
async fn free(transaction: &DatabaseTransaction, removal: &Removal) -> Result<HashSet<String>, DbErr> {
    let ids: Vec<&str> = removal.0.iter().map(|part| part.task_id.as_str()).collect();
    let mut free: HashSet<String> = found(transaction, &FREE_TASKS, &ids, "id")
        .await?
        .into_keys()
        .collect();
    let whole = removal.0.iter().filter(|part| part.keep_from.is_none());
    let whole: Vec<&str> = whole.map(|part| part.task_id.as_str()).collect();
    for (all, some, ids) in [
        (&KEYS, &FREE_KEYS, &whole),
        (&PUSH_CONFIGS, &FREE_PUSH_CONFIGS, &ids),
    ] {
        let free_rows = found(transaction, some, ids, "task_id").await?;
        for (task_id, rows) in found(transaction, all, ids, "task_id").await? {
            if free_rows.get(&task_id) != Some(&rows) {
                free.remove(&task_id);
            }
        }
    }
    // Only now: what waits changes no more.
    let waiting = waiting(transaction, &ids).await?;
    for part in &removal.0 {
        let first = waiting.get(&part.task_id);
        if first.is_some_and(|first| part.keep_from.is_none_or(|keep_from| *first < keep_from)) {
            free.remove(&part.task_id);
        }
    }
    Ok(free)
}

/// The first event of each task that waits to be sent.
async fn waiting(transaction: &DatabaseTransaction, ids: &[&str]) -> Result<HashMap<String, u64>, DbErr> {
    let mut waiting = HashMap::new();
    for select in of_tasks(transaction, &WAITING, ids) {
        for row in transaction.query_all_raw(select).await? {
            let generation = unsigned(row.try_get("", "generation")?);
            waiting.insert(row.try_get("", "task_id")?, generation);
        }
    }
    Ok(waiting)
}

/// How many rows were found for each task.
async fn found(
    transaction: &DatabaseTransaction,
    many: &ManyRows,
    ids: &[&str],
    column: &str,
) -> Result<HashMap<String, usize>, DbErr> {
    let mut found = HashMap::new();
    for select in of_tasks(transaction, many, ids) {
        for row in transaction.query_all_raw(select).await? {
            *found.entry(row.try_get("", column)?).or_insert(0) += 1;
        }
    }
    Ok(found)
}

fn of_tasks(connection: &impl ConnectionTrait, many: &ManyRows, ids: &[&str]) -> Vec<Statement> {
    let ids = ids.iter().map(|id| Value::from(*id)).collect();
    many.statements(connection.get_database_backend(), ids)
}

/// The statements of this file with some values, by what they are for: for who wants to see their plans.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let ids: Vec<String> = (100..164).map(|n| format!("t{n:05}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let values = || [Value::from("t00100"), number(2)];
    let [keys, deliveries, push_configs, log, tasks] = &DELETE_TASKS;
    let many = [
        ("tasks that are free", &FREE_TASKS),
        ("keys of tasks", &KEYS),
        ("keys that are free", &FREE_KEYS),
        ("push configurations of tasks", &PUSH_CONFIGS),
        ("push configurations that are free", &FREE_PUSH_CONFIGS),
        ("what waits of tasks", &WAITING),
        ("remove keys", keys),
        ("remove deliveries", deliveries),
        ("remove push configurations", push_configs),
        ("remove events", log),
        ("remove tasks", tasks),
    ];
    let many = many.into_iter().flat_map(|(name, many)| {
        of_tasks(connection, many, &ids)
            .into_iter()
            .map(move |s| (name, s))
    });
    let single = [
        ("begin a log later", statement(connection, MOVE_FLOOR, values())),
        (
            "remove the beginning of a log",
            statement(connection, DELETE_BEGINNING, values()),
        ),
        (
            "remove deliveries of the beginning of a log",
            statement(connection, DELETE_DELIVERIES, values()),
        ),
    ];
    many.chain(single).collect()
}

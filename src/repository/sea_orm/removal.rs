//! What retention takes from the database, in the writers' transactions.
//!
//! A removal never waits for a lock: what another transaction is at work on, of this process or of another, stays until
//! the next turn. So nobody waits for a removal that waits for somebody else, and a commit waits for one no longer than
//! its statements take.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, Value};

use super::sql::{DELETE_TASKS, FREE_KEYS, FREE_TASKS, KEYS, ManyRows, number, statement};
use super::transaction::{self, Failure};
use super::unavailable;
use crate::fault;
use crate::repository::Error;

const MOVE_FLOOR: &str = "UPDATE task SET first_generation = $2 \
     WHERE id = $1 AND first_generation < $2 AND snapshot_generation >= $2";

const DELETE_BEGINNING: &str = "DELETE FROM task_log WHERE task_id = $1 AND last_generation < $2";

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
            gone.events += part.events;
        }
    }
    Ok(gone)
}

/// The tasks that are there and that, with their keys, nobody else is at work on. A key belongs to its task's writers
/// and, once it has expired, to whoever binds it anew.
async fn free(transaction: &DatabaseTransaction, removal: &Removal) -> Result<HashSet<String>, DbErr> {
    let ids: Vec<&str> = removal.0.iter().map(|part| part.task_id.as_str()).collect();
    let mut free: HashSet<String> = found(transaction, &FREE_TASKS, &ids, "id")
        .await?
        .into_keys()
        .collect();
    let whole = removal.0.iter().filter(|part| part.keep_from.is_none());
    let whole: Vec<&str> = whole.map(|part| part.task_id.as_str()).collect();
    let free_keys = found(transaction, &FREE_KEYS, &whole, "task_id").await?;
    for (task_id, keys) in found(transaction, &KEYS, &whole, "task_id").await? {
        if free_keys.get(&task_id) != Some(&keys) {
            free.remove(&task_id);
        }
    }
    Ok(free)
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
    let [keys, push_configs, log, tasks] = &DELETE_TASKS;
    let many = [
        ("tasks that are free", &FREE_TASKS),
        ("keys of tasks", &KEYS),
        ("keys that are free", &FREE_KEYS),
        ("remove keys", keys),
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
    ];
    many.chain(single).collect()
}

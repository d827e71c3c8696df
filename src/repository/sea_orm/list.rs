//! Listings: pages by keyset, never by offset.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Statement, Value,
};

use super::entity::task;
use super::read::{Head, LogRow, fold, newest, small, unsigned};
use super::unavailable;
use crate::context::Scope;
use crate::pb::{self, Struct, Task, TaskStatus, Timestamp, value::Kind};
use crate::repository::types::take_while_they_fit;
use crate::repository::{Error, ListCursor, ListPage, ListQuery, StoredTask};

/// Tasks whose logs are read by one statement; a page that is full of large tasks ends before all of them are read.
const LOADED_AT_ONCE: usize = 25;

/// One page of a caller's tasks.
pub(super) async fn page(
    connection: &DatabaseConnection,
    scope: &Scope,
    query: &ListQuery,
) -> Result<ListPage, Error> {
    let mut rows = page_select(scope, query)
        .all(connection)
        .await
        .map_err(unavailable)?;
    let more = rows.len() > query.limit;
    rows.truncate(query.limit);
    let total = count(connection, scope, query).await?;
    let mut tasks = Vec::with_capacity(rows.len());
    let mut bytes = query.bytes_max;
    let mut last = rows.last().filter(|_| more);
    for some in rows.chunks(LOADED_AT_ONCE) {
        let loaded = load(connection, some).await?;
        if !take_while_they_fit(&mut tasks, loaded, &mut bytes) {
            // By its id, because retention may have taken rows of this page in the meantime.
            let id = tasks.last().map(|stored| stored.task.id.as_str());
            last = rows.iter().find(|row| Some(row.id.as_str()) == id);
            break;
        }
    }
    let next = last.map(|row| ListCursor {
        status_ms: row.status_ms,
        task_id: row.id.clone(),
    });
    Ok(ListPage { tasks, total, next })
}

fn filtered(scope: &Scope, query: &ListQuery) -> Select<task::Entity> {
    let mut select = task::Entity::visible(scope);
    if let Some(context_id) = &query.context_id {
        select = select.filter(task::Column::ContextId.eq(context_id));
    }
    if let Some(state) = query.state {
        select = select.filter(task::Column::State.eq(i64::from(i32::from(state))));
    }
    if let Some(after) = query.status_after_ms {
        select = select.filter(task::Column::StatusMs.gte(after));
    }
    select
}

/// A limit as databases take it: they count with a sign.
fn bound(limit: usize) -> u64 {
    i64::try_from(limit).unwrap_or(i64::MAX).unsigned_abs()
}

/// One row more than the page holds, to see whether another page follows.
fn page_select(scope: &Scope, query: &ListQuery) -> Select<task::Entity> {
    let mut select = filtered(scope, query);
    if let Some(cursor) = &query.cursor {
        let place = Expr::tuple([Expr::col(task::Column::StatusMs), Expr::col(task::Column::Id)]);
        let seen = Expr::tuple([Expr::val(cursor.status_ms), Expr::val(&cursor.task_id)]);
        select = select.filter(place.lt(seen));
    }
    select
        .order_by_desc(task::Column::StatusMs)
        .order_by_desc(task::Column::Id)
        .limit(bound(query.limit.saturating_add(1)))
}

/// Counts the tasks that match, no further than the limit: the cost of a page must not grow with the table.
fn count_select(scope: &Scope, query: &ListQuery) -> SelectStatement {
    // A constant, because to hand on the ids would cost more than to find them.
    let mut matching = filtered(scope, query).select_only().into_query();
    matching.expr(Expr::cust("1")).limit(bound(query.count_limit));
    Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "total")
        .from_subquery(matching, "matching")
        .to_owned()
}

/// How many tasks match.
async fn count(connection: &DatabaseConnection, scope: &Scope, query: &ListQuery) -> Result<usize, Error> {
    let row = connection
        .query_one(&count_select(scope, query))
        .await
        .map_err(unavailable)?;
    let total: i64 = row
        .map(|row| row.try_get("", "total"))
        .transpose()
        .map_err(unavailable)?
        .unwrap_or(0);
    Ok(usize::try_from(total).unwrap_or(0))
}

/// The statements of a page as they are run, that which reads logs for as many tasks as it does at once: for who wants
/// to see their plans.
pub(super) fn statements(backend: DbBackend, scope: &Scope, query: &ListQuery) -> [Statement; 3] {
    let ids: Vec<String> = (0..LOADED_AT_ONCE.min(query.limit))
        .map(|n| format!("t{n:05}"))
        .collect();
    [
        page_select(scope, query).build(backend),
        backend.build(&count_select(scope, query)),
        load_statement(backend, ids.iter().map(String::as_str)),
    ]
}

/// The newest snapshots of tasks and what is behind them.
fn load_statement<'a>(backend: DbBackend, ids: impl ExactSizeIterator<Item = &'a str>) -> Statement {
    let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT t.id, t.epoch, t.message, t.attempt, t.lease_until_ms, t.generation, t.snapshot_generation, \
         l.last_generation, l.first_generation, l.events, l.snapshot FROM task t LEFT JOIN task_log l ON l.task_id = t.id AND l.last_generation >= t.snapshot_generation \
         WHERE t.id IN ({}) ORDER BY t.id, l.last_generation",
        places.join(", ")
    );
    Statement::from_sql_and_values(backend, sql, ids.map(Value::from))
}

/// The tasks of a page, folded from their logs by one statement.
async fn load(connection: &DatabaseConnection, rows: &[task::Model]) -> Result<Vec<StoredTask>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| row.id.as_str());
    let statement = load_statement(connection.get_database_backend(), ids);
    let mut logs: HashMap<String, (Head, Vec<LogRow>)> = HashMap::with_capacity(rows.len());
    for row in connection.query_all_raw(statement).await.map_err(unavailable)? {
        let task_id: String = row.try_get("", "id").map_err(unavailable)?;
        let head = Head::from_row(&row).map_err(unavailable)?;
        let log = LogRow::from_row(&row).map_err(unavailable)?;
        logs.entry(task_id)
            .or_insert_with(|| (head, Vec::new()))
            .1
            .extend(log);
    }
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        // A task may have moved on between the two statements, and what was read then is newer; or retention took it,
        // and it is listed no more.
        let Some((head, log)) = logs.remove(&row.id) else {
            continue;
        };
        let snapshot = newest(&row.id, head, &log);
        match snapshot.and_then(|snapshot| fold(&row.id, head, snapshot.as_ref(), log)) {
            Err(damage @ Error::Corrupt { .. }) => tasks.push(damaged(row, &damage)),
            folded => tasks.push(folded?),
        }
    }
    Ok(tasks)
}

/// The metadata key under which a listed task says that it is damaged.
const DATA_LOSS_KEY: &str = "urn:a2ad:data-loss";

/// A task whose log is damaged, as far as its row knows it: one bad task must neither hide nor keep the others from
/// their owner.
fn damaged(row: &task::Model, damage: &Error) -> StoredTask {
    tracing::error!(task.id = row.id, %damage, "a listed task is damaged");
    let timestamp = Timestamp {
        seconds: row.status_ms.div_euclid(1_000),
        nanos: i32::try_from(row.status_ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
    };
    let said = pb::Value {
        kind: Some(Kind::StringValue(damage.to_string())),
    };
    let task = Task {
        id: row.id.clone(),
        context_id: row.context_id.clone(),
        status: Some(TaskStatus {
            state: i32::try_from(row.state).unwrap_or_default(),
            message: None,
            timestamp: Some(timestamp),
        }),
        metadata: Some(Struct {
            fields: [(DATA_LOSS_KEY.to_owned(), said)].into(),
        }),
        ..Task::default()
    };
    StoredTask {
        task,
        generation: unsigned(row.generation),
        snapshot_generation: unsigned(row.snapshot_generation),
        epoch: unsigned(row.epoch),
        held: row.lease_until_ms > 0,
        message: small(row.message),
        attempt: small(row.attempt),
    }
}

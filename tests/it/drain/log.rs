//! A look into the database, beside the server's own code: every log is dense from 1 and ends at its task's
//! generation.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

/// What the database holds.
pub(super) struct Found {
    /// A sentence for each log that is not as it should be.
    pub(super) problems: Vec<String>,
}

/// A row of `task_log`; `events` is how many the row's bytes really hold.
struct Row {
    task_id: String,
    first: i64,
    last: i64,
    events: usize,
}

/// The column `events`, as far as counting needs it.
#[derive(Clone, PartialEq, Message)]
struct Events {
    #[prost(bytes = "vec", repeated, tag = "1")]
    events: Vec<Vec<u8>>,
}

/// Reads the database, which a server may have open, and checks every log in it.
pub(super) async fn check(database: &Path) -> Found {
    let url = format!("sqlite://{}?mode=ro", database.display());
    let connection = Database::connect(url).await.expect("the database can be read");
    // The log first: what is appended in between makes a generation larger, never a log shorter.
    let tasks = generations(&connection).await;
    let rows = rows(&connection).await;
    connection.close().await.expect("a reader can close");
    Found {
        problems: problems(&tasks, &rows),
    }
}

async fn generations(connection: &DatabaseConnection) -> BTreeMap<String, i64> {
    let found = query(connection, "SELECT id, generation FROM task").await;
    let read = |row: &sea_orm::QueryResult| (get(row, "id"), get(row, "generation"));
    found.iter().map(read).collect()
}

async fn rows(connection: &DatabaseConnection) -> Vec<Row> {
    let select = "SELECT task_id, first_generation, last_generation, events FROM task_log \
                  ORDER BY task_id, last_generation";
    let read = |row: &sea_orm::QueryResult| Row {
        task_id: get(row, "task_id"),
        first: get(row, "first_generation"),
        last: get(row, "last_generation"),
        events: Events::decode(&*get::<Vec<u8>>(row, "events"))
            .expect("events decode")
            .events
            .len(),
    };
    query(connection, select).await.iter().map(read).collect()
}

async fn query(connection: &DatabaseConnection, sql: &str) -> Vec<sea_orm::QueryResult> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection
        .query_all_raw(statement)
        .await
        .expect("the tables are there")
}

fn get<T: sea_orm::TryGetable>(row: &sea_orm::QueryResult, column: &str) -> T {
    row.try_get("", column).expect("the column is there")
}

fn problems(tasks: &BTreeMap<String, i64>, rows: &[Row]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
    for Row {
        task_id,
        first,
        last,
        events,
    } in rows
    {
        let end = ends.insert(task_id, *last).unwrap_or(0);
        if *first != end + 1 {
            problems.push(format!("{task_id}: a row from {first} follows {end}"));
        }
        if usize::try_from(last - first + 1) != Ok(*events) {
            problems.push(format!(
                "{task_id}: the row {first} to {last} holds {events} events"
            ));
        }
    }
    for (id, generation) in tasks {
        let end = ends.remove(id.as_str()).unwrap_or(0);
        if end != *generation || end == 0 {
            problems.push(format!(
                "{id}: the task is at {generation}, its log ends at {end}"
            ));
        }
    }
    problems.extend(ends.keys().map(|id| format!("{id}: a log without a task")));
    problems
}

/// The checker's own test: it must find what it is there to find.
#[test]
fn holes_are_found() {
    let tasks = |generation| BTreeMap::from([("a".to_owned(), generation)]);
    let row = |first, last, events| Row {
        task_id: "a".to_owned(),
        first,
        last,
        events,
    };
    assert!(problems(&tasks(3), &[row(1, 1, 1), row(2, 3, 2)]).is_empty());
    for (what, generation, rows) in [
        ("a missing row", 3, vec![row(1, 1, 1), row(3, 3, 1)]),
        ("a missing first row", 3, vec![row(2, 3, 2)]),
        ("a missing last row", 3, vec![row(1, 2, 2)]),
        ("a row too many", 2, vec![row(1, 2, 2), row(3, 3, 1)]),
        ("a row with a hole", 2, vec![row(1, 2, 1)]),
        ("no log", 1, vec![]),
        ("a row twice", 1, vec![row(1, 1, 1), row(1, 1, 1)]),
    ] {
        assert!(!problems(&tasks(generation), &rows).is_empty(), "{what}");
    }
    assert!(
        !problems(&BTreeMap::new(), &[row(1, 1, 1)]).is_empty(),
        "a log without a task"
    );
}

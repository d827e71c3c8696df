//! What the database holds, read beside the server's own code.

use prost::Message as _;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr, QueryResult, Statement};

use a2ad::pb::part::Content;
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{Message, Part, StreamResponse};

use super::history::hash;

/// All of a database that the checker looks at.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    pub tasks: Vec<TaskRow>,
    /// In the order of tasks, then of generations.
    pub log: Vec<LogRow>,
    pub keys: Vec<KeyRow>,
}

#[derive(Clone, Debug)]
pub struct TaskRow {
    pub id: String,
    pub state: i32,
    pub generation: u64,
    pub epoch: u64,
    /// How often its agent began to work on its newest message.
    pub attempt: u64,
}

#[derive(Clone, Debug)]
pub struct LogRow {
    pub task: String,
    pub first: u64,
    pub last: u64,
    pub epoch: u64,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub hash: String,
    pub state: Option<i32>,
    /// The ids of the callers' messages that came in with the event.
    pub messages: Vec<String>,
    /// What the counter counted with it.
    pub number: Option<u64>,
    /// It says that the task's server died.
    pub tells_of_death: bool,
}

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub key: String,
    pub task: String,
}

/// The column `events`.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredEvents {
    #[prost(message, repeated, tag = "1")]
    events: Vec<StoredEvent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredEvent {
    #[prost(bytes = "vec", tag = "1")]
    payload: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    received: Option<Vec<u8>>,
}

/// Reads everything. Nobody may write meanwhile.
///
/// # Errors
/// When the database can't be read, which is a finding too.
pub async fn read(url: &str) -> Result<Dump, DbErr> {
    let connection = Database::connect(url).await?;
    let dump = Dump {
        tasks: tasks(&connection).await?,
        log: log(&connection).await?,
        keys: keys(&connection).await?,
    };
    connection.close().await?;
    Ok(dump)
}

/// How many tasks say that they are submitted or working.
///
/// # Errors
/// When the database can't be read.
pub async fn unfinished(url: &str) -> Result<usize, DbErr> {
    let connection = Database::connect(url).await?;
    let found = query(&connection, "SELECT id FROM task WHERE state IN (1, 2)").await?;
    connection.close().await?;
    Ok(found.len())
}

/// Makes the completed tasks of an agent so old that retention may remove them; which they are. `told` hears of each
/// before anybody could remove it.
///
/// # Errors
/// When the database can't be changed.
pub async fn age(url: &str, agent: &str, mut told: impl FnMut(String)) -> Result<(), DbErr> {
    let connection = Database::connect(url).await?;
    let young = format!("agent = '{agent}' AND state = 3 AND status_ms > 1");
    let found = query(&connection, &format!("SELECT id FROM task WHERE {young}")).await?;
    for row in found {
        told(row.try_get("", "id")?);
    }
    query(
        &connection,
        &format!("UPDATE task SET status_ms = 1 WHERE {young} RETURNING id"),
    )
    .await?;
    connection.close().await
}

async fn tasks(connection: &DatabaseConnection) -> Result<Vec<TaskRow>, DbErr> {
    let select = "SELECT id, state, generation, epoch, attempt FROM task";
    let read = |row: &QueryResult| {
        Ok(TaskRow {
            id: row.try_get("", "id")?,
            state: i32::try_from(number(row, "state")?).unwrap_or(-1),
            generation: number(row, "generation")?,
            epoch: number(row, "epoch")?,
            attempt: number(row, "attempt")?,
        })
    };
    query(connection, select).await?.iter().map(read).collect()
}

async fn log(connection: &DatabaseConnection) -> Result<Vec<LogRow>, DbErr> {
    let select = "SELECT task_id, first_generation, last_generation, epoch, events FROM task_log \
                  ORDER BY task_id, last_generation";
    let read = |row: &QueryResult| {
        let column: Vec<u8> = row.try_get("", "events")?;
        let stored = StoredEvents::decode(&*column).unwrap_or_default();
        Ok(LogRow {
            task: row.try_get("", "task_id")?,
            first: number(row, "first_generation")?,
            last: number(row, "last_generation")?,
            epoch: number(row, "epoch")?,
            events: stored.events.iter().map(event).collect(),
        })
    };
    query(connection, select).await?.iter().map(read).collect()
}

async fn keys(connection: &DatabaseConnection) -> Result<Vec<KeyRow>, DbErr> {
    let read = |row: &QueryResult| {
        Ok(KeyRow {
            key: row.try_get("", "key")?,
            task: row.try_get("", "task_id")?,
        })
    };
    let found = query(connection, "SELECT key, task_id FROM idempotency_key").await?;
    found.iter().map(read).collect()
}

async fn query(connection: &DatabaseConnection, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_all_raw(statement).await
}

fn number(row: &QueryResult, column: &str) -> Result<u64, DbErr> {
    Ok(row.try_get::<i64>("", column)?.max(0).unsigned_abs())
}

/// An event that does not decode has no state and no messages, which the checker then misses.
fn event(stored: &StoredEvent) -> Event {
    let payload = StreamResponse::decode(&*stored.payload)
        .ok()
        .and_then(|event| event.payload);
    let mut messages = Vec::new();
    if let Some(Payload::Task(task)) = &payload {
        messages.extend(task.history.iter().map(|message| message.message_id.clone()));
    }
    if let Some(received) = &stored.received {
        messages.extend(
            Message::decode(&**received)
                .ok()
                .map(|message| message.message_id),
        );
    }
    Event {
        hash: hash(&stored.payload),
        state: payload.as_ref().and_then(state_of),
        messages,
        number: payload.as_ref().and_then(number_of),
        tells_of_death: payload.as_ref().is_some_and(tells_of_death),
    }
}

fn number_of(payload: &Payload) -> Option<u64> {
    let Payload::ArtifactUpdate(update) = payload else {
        return None;
    };
    let artifact = update.artifact.as_ref()?;
    let text = text_of(artifact.parts.first()?)?;
    (artifact.artifact_id == "numbers").then(|| text.parse().unwrap_or(0))
}

fn tells_of_death(payload: &Payload) -> bool {
    let Payload::StatusUpdate(update) = payload else {
        return false;
    };
    let message = update.status.as_ref().and_then(|status| status.message.as_ref());
    let part = message.and_then(|message| message.parts.first());
    part.and_then(text_of)
        .is_some_and(|text| text.starts_with("the server stopped"))
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    }
}

/// The state that an event tells.
pub fn state_of(payload: &Payload) -> Option<i32> {
    let status = match payload {
        Payload::Task(task) => task.status.as_ref(),
        Payload::StatusUpdate(update) => update.status.as_ref(),
        Payload::Message(_) | Payload::ArtifactUpdate(_) => None,
    };
    status.map(|status| status.state)
}

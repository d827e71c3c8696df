//! The log of a database, read beside the server's own code.

use a2ad::pb::{StreamResponse, json};
use prost::Message as _;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::check::{Logs, Stream};

/// The column `events`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredEvents {
    #[prost(message, repeated, tag = "1")]
    events: Vec<StoredEvent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredEvent {
    #[prost(bytes = "vec", tag = "1")]
    payload: Vec<u8>,
}

/// What is still to come: tasks that have not ended, and deliveries that wait or are dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    pub tasks: i64,
    pub waiting: i64,
    pub dead: i64,
}

impl Rest {
    pub const NONE: Self = Self {
        tasks: 0,
        waiting: 0,
        dead: 0,
    };
}

/// A connection beside the server's.
pub struct Look(DatabaseConnection);

impl Look {
    pub async fn at(url: &str) -> Self {
        Self(Database::connect(url).await.unwrap())
    }

    async fn rows(&self, sql: &str) -> Vec<sea_orm::QueryResult> {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        self.0.query_all_raw(statement).await.unwrap()
    }

    async fn count(&self, what: &str) -> i64 {
        let rows = self.rows(&format!("SELECT COUNT(*) AS n FROM {what}")).await;
        rows[0].try_get("", "n").unwrap()
    }

    pub async fn rest(&self) -> Rest {
        Rest {
            tasks: self.count("task WHERE state IN (1, 2)").await,
            waiting: self.count("push_outbox WHERE dead_ms IS NULL").await,
            dead: self.count("push_outbox WHERE dead_ms IS NOT NULL").await,
        }
    }

    /// All logs; each has to be dense from 1. Nobody may write meanwhile.
    pub async fn logs(&self) -> Logs {
        let select = "SELECT task_id, first_generation, last_generation, events FROM task_log \
                      ORDER BY task_id, last_generation";
        let mut logs = Logs::new();
        for row in self.rows(select).await {
            let task: String = row.try_get("", "task_id").unwrap();
            let first: i64 = row.try_get("", "first_generation").unwrap();
            let last: i64 = row.try_get("", "last_generation").unwrap();
            let column: Vec<u8> = row.try_get("", "events").unwrap();
            let events = StoredEvents::decode(&*column).unwrap().events;
            let log = logs.entry(task).or_default();
            assert_eq!(first, log.len() as i64 + 1, "the log is dense");
            log.extend(events.iter().map(in_json));
            assert_eq!(last, log.len() as i64, "the log is dense");
        }
        logs
    }

    /// All configurations.
    pub async fn streams(&self) -> Vec<Stream> {
        let rows = self.rows("SELECT task_id, id FROM push_config").await;
        rows.iter()
            .map(|row| {
                (
                    row.try_get("", "task_id").unwrap(),
                    row.try_get("", "id").unwrap(),
                )
            })
            .collect()
    }
}

fn in_json(stored: &StoredEvent) -> String {
    let event = StreamResponse::decode(&*stored.payload).unwrap();
    String::from_utf8(json::to_vec(&event).unwrap()).unwrap()
}

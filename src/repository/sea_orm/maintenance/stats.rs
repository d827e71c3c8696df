//! How much a database holds.

use sea_orm::{DbBackend, DbErr, QueryResult};
use serde::Serialize;

use super::Maintenance;
use crate::pb::TaskState;
use crate::repository::sea_orm::wal;

const TASKS: &str = "SELECT agent, state, COUNT(*) AS tasks, \
     CAST(SUM(generation - first_generation + 1) AS BIGINT) AS events, MIN(created_ms) AS oldest_ms \
     FROM task GROUP BY agent, state ORDER BY agent, state";

const LOG: &str = "SELECT COUNT(*) AS commits, \
     CAST(COALESCE(SUM(LENGTH(events)), 0) AS BIGINT) AS event_bytes, \
     CAST(COALESCE(SUM(LENGTH(snapshot)), 0) AS BIGINT) AS snapshot_bytes, COUNT(snapshot) AS snapshots FROM task_log";

const SIDE: &str = "SELECT (SELECT COUNT(*) FROM idempotency_key) AS idempotency_keys, \
     (SELECT COUNT(*) FROM push_config) AS push_configs, \
     (SELECT COUNT(*) FROM push_outbox WHERE dead_ms IS NULL) AS push_waiting, \
     (SELECT COUNT(*) FROM push_outbox WHERE dead_ms IS NOT NULL) AS push_dead";

const SCHEMA: &str = "SELECT MAX(version) AS version FROM seaql_migrations";

/// How much a database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The newest migration that was applied.
    pub schema: String,
    /// Tasks of each agent in each state.
    pub tasks: Vec<TaskCount>,
    /// When the oldest task was created, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// Events of all tasks.
    pub events: u64,
    /// Rows of the log, each of them one commit of one task.
    pub commits: u64,
    /// Bytes of all events.
    pub event_bytes: u64,
    /// Snapshots in the log.
    pub snapshots: u64,
    /// Bytes of all snapshots.
    pub snapshot_bytes: u64,
    /// Idempotency keys, those among them that have expired and wait for their removal.
    pub idempotency_keys: u64,
    /// Push notification configurations.
    pub push_configs: u64,
    /// Push notifications that wait to be sent.
    pub push_waiting: u64,
    /// Push notifications that were given up.
    pub push_dead: u64,
    /// Bytes of the database: the file of SQLite, all that PostgreSQL has for this database.
    pub database_bytes: u64,
    /// Bytes of SQLite's write-ahead log; `None` for PostgreSQL, whose log is not of one database.
    pub wal_bytes: Option<u64>,
}

/// Tasks of one agent in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskCount {
    /// The agent.
    pub agent: String,
    /// The state, as the protocol names it.
    pub state: String,
    /// How many tasks there are.
    pub tasks: u64,
    /// How many events they have.
    pub events: u64,
}

impl Maintenance {
    /// Counts. Every table is read once, so a large database takes its time.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn stats(&self) -> Result<Stats, DbErr> {
        let mut stats = Stats::default();
        for row in self.rows(TASKS, []).await? {
            let oldest_ms: Option<i64> = row.try_get("", "oldest_ms")?;
            stats.oldest_ms = [stats.oldest_ms, oldest_ms].into_iter().flatten().min();
            let count = count(&row)?;
            stats.events += count.events;
            stats.tasks.push(count);
        }
        for row in self.rows(LOG, []).await? {
            stats.commits = number(&row, "commits")?;
            stats.event_bytes = number(&row, "event_bytes")?;
            stats.snapshots = number(&row, "snapshots")?;
            stats.snapshot_bytes = number(&row, "snapshot_bytes")?;
        }
        for row in self.rows(SIDE, []).await? {
            stats.idempotency_keys = number(&row, "idempotency_keys")?;
            stats.push_configs = number(&row, "push_configs")?;
            stats.push_waiting = number(&row, "push_waiting")?;
            stats.push_dead = number(&row, "push_dead")?;
        }
        for row in self.rows(SCHEMA, []).await? {
            stats.schema = row.try_get::<Option<String>>("", "version")?.unwrap_or_default();
        }
        self.sizes(&mut stats).await?;
        Ok(stats)
    }

    async fn sizes(&self, stats: &mut Stats) -> Result<(), DbErr> {
        let sql = match self.0.get_database_backend() {
            DbBackend::Sqlite => {
                stats.wal_bytes = Some(wal::size(&self.0).await?);
                "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size"
            }
            _ => "SELECT pg_database_size(current_database()) AS bytes",
        };
        for row in self.rows(sql, []).await? {
            stats.database_bytes = number(&row, "bytes")?;
        }
        Ok(())
    }
}

fn count(row: &QueryResult) -> Result<TaskCount, DbErr> {
    let state: i64 = row.try_get("", "state")?;
    let known = i32::try_from(state)
        .ok()
        .and_then(|state| TaskState::try_from(state).ok());
    Ok(TaskCount {
        agent: row.try_get("", "agent")?,
        state: known.map_or_else(|| state.to_string(), |state| state.as_str_name().to_owned()),
        tasks: number(row, "tasks")?,
        events: number(row, "events")?,
    })
}

pub(super) fn number(row: &QueryResult, column: &str) -> Result<u64, DbErr> {
    Ok(row.try_get::<i64>("", column)?.max(0).unsigned_abs())
}

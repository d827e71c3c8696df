//! What retention would take.

use sea_orm::{DbErr, QueryResult, Value};

use super::Maintenance;
use super::stats::number;
use crate::pb::TaskState;

const AGENTS: &str = "SELECT DISTINCT agent FROM task ORDER BY agent";

const TASKS: &str = "SELECT COUNT(*) AS tasks, \
     CAST(COALESCE(SUM(generation - first_generation + 1), 0) AS BIGINT) AS events \
     FROM task WHERE agent = $1 AND state = $2 AND state IN (3, 4, 5, 7) AND status_ms < $3 \
     AND NOT EXISTS (SELECT 1 FROM push_config p WHERE p.task_id = task.id AND p.due_ms IS NOT NULL)";

const EVENTS: &str = "SELECT CAST(COALESCE(SUM(l.last_generation - l.first_generation + 1), 0) AS BIGINT) AS events \
     FROM task t JOIN task_log l ON l.task_id = t.id AND l.last_generation < t.snapshot_generation AND l.at_ms < $1 \
     WHERE t.snapshot_generation > t.first_generation AND NOT EXISTS \
     (SELECT 1 FROM push_outbox o WHERE o.task_id = t.id AND o.generation <= l.last_generation)";

const DEAD_LETTERS: &str =
    "SELECT COUNT(*) AS letters FROM push_outbox WHERE dead_ms IS NOT NULL AND dead_ms < $1";

impl Maintenance {
    /// The names of all agents that have tasks, in order.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn agents(&self) -> Result<Vec<String>, DbErr> {
        let rows = self.rows(AGENTS, []).await?;
        rows.iter().map(|row| row.try_get("", "agent")).collect()
    }

    /// How many tasks of an agent ended in `state` before a time in milliseconds since the epoch, and how many events
    /// they have.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn tasks_before(
        &self,
        agent: &str,
        state: TaskState,
        before_ms: i64,
    ) -> Result<(u64, u64), DbErr> {
        let state = i64::from(i32::from(state));
        let values = [Value::from(agent), Value::from(state), Value::from(before_ms)];
        let rows = self.rows(TASKS, values).await?;
        let counted = |row: &QueryResult| Ok((number(row, "tasks")?, number(row, "events")?));
        rows.first().map_or(Ok((0, 0)), counted)
    }

    /// How many events that a snapshot stands for were written before a time in milliseconds since the epoch; those of
    /// ended tasks among them.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn events_before(&self, before_ms: i64) -> Result<u64, DbErr> {
        let rows = self.rows(EVENTS, [Value::from(before_ms)]).await?;
        rows.first().map_or(Ok(0), |row| number(row, "events"))
    }

    /// How many push notifications were given up before a time in milliseconds since the epoch; those of ended tasks
    /// among them.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn dead_letters_before(&self, before_ms: i64) -> Result<u64, DbErr> {
        let rows = self.rows(DEAD_LETTERS, [Value::from(before_ms)]).await?;
        rows.first().map_or(Ok(0), |row| number(row, "letters"))
    }
}

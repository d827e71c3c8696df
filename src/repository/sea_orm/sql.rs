//! The statements of the write path, as text that SQLite and PostgreSQL both take.
//!
//! A statement for many rows is cached by its text, so rows are written in groups whose sizes are powers of two:
//! a handful of texts serves every batch.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

/// The largest group; 64 rows of at most 12 values stay far below both databases' limits of bound values (32,766 and
/// 65,535).
const GROUP_MAX: usize = 64;

/// A statement that repeats a tuple of placeholders for every row.
pub(super) struct ManyRows {
    pub(super) before: &'static str,
    /// The SQL type of each column, named in the first tuple only: PostgreSQL infers the rest from it. One that holds a
    /// `?` is an expression around the value instead, in every tuple.
    pub(super) types: &'static [&'static str],
    pub(super) after: &'static str,
}

pub(super) const INSERT_TASK: ManyRows = ManyRows {
    before: "INSERT INTO task (id, agent, owner, context_id, state, status_ms, created_ms, generation, epoch, \
             snapshot_generation) VALUES ",
    types: &[""; 10],
    after: " ON CONFLICT (id) DO NOTHING",
};

/// Creates a task that somebody holds. One that has settled in its first write takes [`INSERT_TASK`], whose defaults
/// say that nobody does.
pub(super) const INSERT_HELD_TASK: ManyRows = ManyRows {
    before: "INSERT INTO task (id, agent, owner, context_id, state, status_ms, created_ms, generation, epoch, \
             snapshot_generation, message, attempt, lease_until_ms) VALUES ",
    types: &["", "", "", "", "", "", "", "", "", "", "", "", "{now} + ?"],
    after: " ON CONFLICT (id) DO NOTHING",
};

/// What stands for a lease that is kept, and for one that is released, where others have their milliseconds.
pub(super) const KEPT: i64 = -1;
pub(super) const RELEASED: i64 = -2;

/// Moves a task on, if it is whose and where the writer believes it to be.
pub(super) const UPDATE_TASK: ManyRows = ManyRows {
    before: "UPDATE task SET state = v.column6, status_ms = v.column7, generation = v.column8, epoch = v.column9, \
             snapshot_generation = v.column10, message = v.column11, attempt = v.column12, \
             lease_until_ms = CASE v.column13 \
             WHEN -1 THEN task.lease_until_ms WHEN -2 THEN 0 ELSE {now} + v.column13 END FROM (VALUES ",
    types: &[
        "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT",
        "BIGINT", "BIGINT", "BIGINT",
    ],
    after: ") AS v WHERE task.id = v.column1 AND task.agent = v.column2 AND task.owner = v.column3 \
            AND task.generation = v.column4 AND task.epoch = v.column5",
};

pub(super) const INSERT_LOG: ManyRows = ManyRows {
    before: "INSERT INTO task_log (task_id, last_generation, first_generation, at_ms, events, snapshot, epoch) VALUES ",
    types: &[""; 7],
    after: " ON CONFLICT (task_id, last_generation) DO NOTHING",
};

/// Binds a key, unless it is bound and has not expired.
pub(super) const INSERT_KEY: ManyRows = ManyRows {
    before: "INSERT INTO idempotency_key (agent, owner, key, task_id, fingerprint, created_ms, expires_ms) \
             VALUES ",
    types: &[""; 7],
    after: " ON CONFLICT (agent, owner, key) DO UPDATE SET task_id = excluded.task_id, fingerprint = \
            excluded.fingerprint, created_ms = excluded.created_ms, expires_ms = excluded.expires_ms \
            WHERE idempotency_key.expires_ms <= excluded.created_ms",
};

/// Stores or replaces a configuration. What waits for one that is replaced is due at once, and whoever had claimed it
/// has it no more. Numbers of claims begin with the time, so that those of a configuration that went and came back are
/// not given out twice.
pub(super) const INSERT_PUSH_CONFIG: ManyRows = ManyRows {
    before: "INSERT INTO push_config (task_id, id, config, agent, owner, host, due_ms, claim) VALUES ",
    types: &["", "", "", "", "", "", "{now} + ?", "{now} + ?"],
    after: " ON CONFLICT (task_id, id) DO UPDATE SET config = excluded.config, agent = excluded.agent, \
            owner = excluded.owner, host = excluded.host, due_ms = CASE WHEN push_config.due_ms IS NULL THEN excluded.due_ms ELSE {now} END, \
            claim = push_config.claim + 1, claimed_until_ms = 0",
};

/// Adds batches of audit records that are not there yet: a write whose outcome is unknown is repeated.
pub(super) const INSERT_AUDIT: ManyRows = ManyRows {
    before: "INSERT INTO audit_record (chain, seq, at_ms, record) VALUES ",
    types: &[""; 4],
    after: " ON CONFLICT (chain, seq) DO NOTHING",
};

/// Prolongs leases that are held still, by task and epoch; gives back the tasks that it found.
pub(super) const RENEW_LEASE: ManyRows = ManyRows {
    before: "UPDATE task SET lease_until_ms = CASE WHEN task.lease_until_ms > 0 THEN {now} + v.column3 ELSE 0 END \
             FROM (VALUES ",
    types: &["TEXT", "BIGINT", "BIGINT"],
    after: ") AS v WHERE task.id = v.column1 AND task.epoch = v.column2 RETURNING id",
};

/// Finds the tasks that still are there and that nobody else is at work on, and keeps others away from them.
pub(super) const FREE_TASKS: ManyRows = ManyRows {
    before: "SELECT id FROM task WHERE id IN (VALUES ",
    types: &["TEXT"],
    after: "){free}",
};

/// The keys of tasks, by the task.
pub(super) const KEYS: ManyRows = ManyRows {
    before: "SELECT task_id FROM idempotency_key WHERE task_id IN (VALUES ",
    types: &["TEXT"],
    after: ")",
};

/// Those of [`KEYS`] that nobody else is at work on.
pub(super) const FREE_KEYS: ManyRows = ManyRows {
    before: KEYS.before,
    types: KEYS.types,
    after: "){free}",
};

/// How many push configurations tasks have, by the task.
pub(super) const PUSH_CONFIGS: ManyRows = ManyRows {
    before: "SELECT task_id FROM push_config WHERE task_id IN (VALUES ",
    types: &["TEXT"],
    after: ")",
};

/// Those of [`PUSH_CONFIGS`] that nobody else is at work on.
pub(super) const FREE_PUSH_CONFIGS: ManyRows = ManyRows {
    before: PUSH_CONFIGS.before,
    types: PUSH_CONFIGS.types,
    after: "){free}",
};

/// The first event of each task that waits to be sent.
pub(super) const WAITING: ManyRows = ManyRows {
    before: "SELECT task_id, MIN(generation) AS generation FROM push_outbox \
             WHERE dead_ms IS NULL AND task_id IN (VALUES ",
    types: &["TEXT"],
    after: ") GROUP BY task_id",
};

/// The rows of tasks that are gone.
pub(super) const DELETE_TASKS: [ManyRows; 5] = [
    ManyRows {
        before: "DELETE FROM idempotency_key WHERE task_id IN (VALUES ",
        types: &["TEXT"],
        after: ")",
    },
    ManyRows {
        before: "DELETE FROM push_outbox WHERE task_id IN (VALUES ",
        types: &["TEXT"],
        after: ")",
    },
    ManyRows {
        before: "DELETE FROM push_config WHERE task_id IN (VALUES ",
        types: &["TEXT"],
        after: ")",
    },
    ManyRows {
        before: "DELETE FROM task_log WHERE task_id IN (VALUES ",
        types: &["TEXT"],
        after: ")",
    },
    ManyRows {
        before: "DELETE FROM task WHERE id IN (VALUES ",
        types: &["TEXT"],
        after: ")",
    },
];

/// Fills in what the two databases have no common way to say.
///
/// - `{now}`: the time of the database, in milliseconds since the epoch. Leases are measured by the one clock that all
///   processes share. Both clocks stand still within a statement, so that an index can be searched by them.
/// - `{locked}`: the rows found are the transaction's own until it ends; it waits for whoever else is at work on them.
/// - `{free}`: the same without waiting: rows that somebody else is at work on are not found.
/// - `{items}` and `{json}`: the function that makes rows of a list in JSON, and the type of that list.
///
/// SQLite has one writer, which needs no locks.
pub(super) fn in_dialect(backend: DbBackend, sql: &str) -> String {
    let (now, locked, free, items, json) = match backend {
        DbBackend::Postgres => (
            "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
            " FOR UPDATE",
            " FOR UPDATE SKIP LOCKED",
            "jsonb_array_elements_text",
            "JSONB",
        ),
        _ => (
            "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)",
            "",
            "",
            "json_each",
            "TEXT",
        ),
    };
    sql.replace("{now}", now)
        .replace("{locked}", locked)
        .replace("{free}", free)
        .replace("{items}", items)
        .replace("{json}", json)
}

/// A statement in the words of the connection's database.
pub(super) fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    let backend = connection.get_database_backend();
    Statement::from_sql_and_values(backend, in_dialect(backend, sql), values)
}

/// A count or a generation as columns hold it.
pub(super) fn number(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

impl ManyRows {
    /// Cuts rows into statements. `values` holds the rows one behind the other.
    pub(super) fn statements(&self, backend: DbBackend, mut values: Vec<Value>) -> Vec<Statement> {
        let width = self.types.len();
        let mut statements = Vec::new();
        while !values.is_empty() {
            let rows = values.len() / width;
            let group = GROUP_MAX.min(1 << rows.ilog2());
            let rest = values.split_off(group * width);
            statements.push(Statement::from_sql_and_values(
                backend,
                self.text(backend, group),
                values,
            ));
            values = rest;
        }
        statements
    }

    /// How many rows a statement made here must affect.
    pub(super) fn rows(&self, statement: &Statement) -> u64 {
        statement
            .values
            .as_ref()
            .map_or(0, |values| (values.0.len() / self.types.len()) as u64)
    }

    /// PostgreSQL wants numbered places; SQLite's driver looks each number up by name, so it gets plain marks.
    fn text(&self, backend: DbBackend, rows: usize) -> String {
        let width = self.types.len();
        let mut text = String::with_capacity(self.before.len() + self.after.len() + rows * (width * 5 + 4));
        text.push_str(self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for (column, kind) in self.types.iter().enumerate() {
                let comma = if column == 0 { "" } else { ", " };
                let place = match backend {
                    DbBackend::Postgres => format!("${}", row * width + column + 1),
                    _ => "?".to_owned(),
                };
                // Writing to a String can't fail.
                let _ = match (row, *kind) {
                    (_, around) if around.contains('?') => {
                        write!(text, "{comma}{}", around.replace('?', &place))
                    }
                    (0, kind) if !kind.is_empty() => write!(text, "{comma}CAST({place} AS {kind})"),
                    _ => write!(text, "{comma}{place}"),
                };
            }
            text.push(')');
        }
        text.push_str(self.after);
        in_dialect(backend, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_powers_of_two() {
        let values = |rows: usize| vec![Value::from(1i64); rows * INSERT_AUDIT.types.len()];
        let sizes = |rows: usize| -> Vec<usize> {
            INSERT_AUDIT
                .statements(DbBackend::Sqlite, values(rows))
                .iter()
                .map(|statement| INSERT_AUDIT.rows(statement) as usize)
                .collect()
        };
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(13), [8, 4, 1]);
        assert_eq!(sizes(200), [64, 64, 64, 8]);
        assert!(sizes(0).is_empty());
    }

    #[test]
    fn only_the_first_row_names_types() {
        let text = UPDATE_TASK.text(DbBackend::Postgres, 2);
        assert_eq!(text.matches("CAST($").count(), 13);
        assert!(text.contains("$26"), "{text}");
    }
    #[test]
    fn each_database_is_asked_for_its_own_time() {
        for (backend, time) in [
            (
                DbBackend::Postgres,
                "statement_timestamp()) * 1000 AS BIGINT) + $",
            ),
            (
                DbBackend::Sqlite,
                "unixepoch('now', 'subsec') * 1000 AS INTEGER) + ?",
            ),
        ] {
            let text = INSERT_HELD_TASK.text(backend, 2);
            assert_eq!(text.matches(time).count(), 2, "{text}");
            assert!(!text.contains('{'), "{text}");
        }
    }

    #[test]
    fn only_postgres_locks_rows() {
        let text = |backend| FREE_TASKS.text(backend, 1);
        assert!(text(DbBackend::Postgres).ends_with("FOR UPDATE SKIP LOCKED"));
        let plain = text(DbBackend::Sqlite);
        assert!(!plain.contains("FOR UPDATE") && !plain.contains('{'), "{plain}");
    }
}

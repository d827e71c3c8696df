//! Whether the tables are those of this program.
//!
//! Until the first release the schema is one migration that changes in place, so that its name does not tell which one
//! a database was made by; its columns do.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::connect::OpenError;
use super::failure::is_of_the_schema;

/// The columns that statements of this program name, by table.
const TABLES: [(&str, &str); 7] = [
    (
        "task",
        "id, agent, owner, context_id, state, status_ms, created_ms, generation, epoch, snapshot_generation, \
         first_generation, lease_until_ms, attempt, message",
    ),
    (
        "task_log",
        "task_id, last_generation, first_generation, at_ms, events, snapshot, epoch",
    ),
    (
        "idempotency_key",
        "agent, owner, key, task_id, fingerprint, created_ms, expires_ms",
    ),
    (
        "push_config",
        "task_id, id, config, agent, owner, host, due_ms, claim, claimed_until_ms",
    ),
    (
        "push_outbox",
        "task_id, config_id, generation, since_ms, attempts, status, cause, dead_ms",
    ),
    ("audit_record", "chain, seq, at_ms, record"),
    (
        "api_key",
        "id, hash, hash_key, name, organisation, scopes, created_ms, expires_ms, revoked_ms",
    ),
];

/// Looks at every table once its migrations are applied.
pub(super) async fn check(connection: &DatabaseConnection) -> Result<(), OpenError> {
    for (table, columns) in TABLES {
        let sql = format!("SELECT {columns} FROM {table} LIMIT 0");
        let look = Statement::from_string(connection.get_database_backend(), sql);
        match connection.query_all_raw(look).await {
            Ok(_) => {}
            Err(error) if is_of_the_schema(&error) => return Err(OpenError::Schema(error.to_string())),
            Err(error) => return Err(OpenError::Database(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::sea_orm::connect;

    #[tokio::test]
    async fn an_older_schema_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let writer = connect::sqlite(&path, 1, false).await.unwrap();
        connect::migrate(&writer).await.unwrap();
        let older = "ALTER TABLE task_log DROP COLUMN at_ms";
        writer.execute_unprepared(older).await.unwrap();
        let error = connect::migrate(&writer).await.unwrap_err();
        assert!(matches!(error, OpenError::Schema(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("at_ms") && text.contains("name another database"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn every_column_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let writer = connect::sqlite(&path, 1, false).await.unwrap();
        connect::migrate(&writer).await.unwrap();
        for (table, columns) in TABLES {
            let sql = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
            let look = Statement::from_string(writer.get_database_backend(), sql);
            let rows = writer.query_all_raw(look).await.unwrap();
            let mut there: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
            let mut checked: Vec<&str> = columns.split(", ").collect();
            there.sort_unstable();
            checked.sort_unstable();
            assert_eq!(there, checked, "{table}");
        }
    }
}

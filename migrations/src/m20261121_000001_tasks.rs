//! Tasks, their event logs, idempotency keys and push configurations.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, task()).await?;
        for index in task_indexes() {
            manager.create_index(index).await?;
        }
        create(manager, task_log()).await?;
        create(manager, idempotency_key()).await?;
        manager.create_index(idempotency_key_expiry()).await?;
        create(manager, push_config()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["push_config", "idempotency_key", "task_log", "task"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Creates a table whose texts are compared byte by byte, as SQLite compares them: pages must not depend on the language
/// that a PostgreSQL server was set up in.
async fn create(manager: &SchemaManager<'_>, table: TableCreateStatement) -> Result<(), DbErr> {
    manager.create_table(table.clone()).await?;
    if manager.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let Some(TableRef::Table(TableName(_, name), _)) = table.get_table_name() else {
        return Ok(());
    };
    let texts = table
        .get_columns()
        .iter()
        .filter(|column| column.get_column_type() == Some(&ColumnType::Text));
    for column in texts {
        let column = column.get_column_name();
        let bytewise = format!(r#"ALTER TABLE "{name}" ALTER COLUMN "{column}" TYPE TEXT COLLATE "C""#);
        manager.get_connection().execute_unprepared(&bytewise).await?;
    }
    Ok(())
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// What listings and guards need of a task; narrow, because every append updates it.
fn task() -> TableCreateStatement {
    Table::create()
        .table("task")
        .col(text("id").primary_key())
        .col(text("agent"))
        .col(text("owner"))
        .col(text("context_id"))
        .col(number("state"))
        .col(number("status_ms"))
        .col(number("created_ms"))
        .col(number("generation"))
        .col(number("epoch"))
        .col(number("snapshot_generation"))
        .to_owned()
}

/// One index for each way of listing; all end with the order (status_ms, id).
fn task_indexes() -> [IndexCreateStatement; 3] {
    let listing = |name: &str, columns: &[&'static str]| {
        let mut index = Index::create().name(name).table("task").to_owned();
        for column in columns {
            index.col(*column);
        }
        index
    };
    [
        listing("task_by_time", &["agent", "owner", "status_ms", "id"]),
        listing(
            "task_by_context",
            &["agent", "owner", "context_id", "status_ms", "id"],
        ),
        listing("task_by_state", &["state", "agent", "owner", "status_ms", "id"]),
    ]
}

/// The event log. A row holds the events that one commit added to one task, and sometimes a snapshot of the task
/// after the last of them. The epoch is that of the lease under which it was written: it never falls within a log.
fn task_log() -> TableCreateStatement {
    Table::create()
        .table("task_log")
        .col(text("task_id"))
        .col(number("last_generation"))
        .col(number("first_generation"))
        .col(ColumnDef::new("events").blob().not_null())
        .col(ColumnDef::new("snapshot").blob().null())
        .col(number("epoch"))
        .primary_key(Index::create().col("task_id").col("last_generation"))
        .to_owned()
}

fn idempotency_key() -> TableCreateStatement {
    Table::create()
        .table("idempotency_key")
        .col(text("agent"))
        .col(text("owner"))
        .col(text("key"))
        .col(text("task_id"))
        .col(ColumnDef::new("fingerprint").blob().not_null())
        .col(number("created_ms"))
        .col(number("expires_ms"))
        .primary_key(Index::create().col("agent").col("owner").col("key"))
        .to_owned()
}

fn idempotency_key_expiry() -> IndexCreateStatement {
    Index::create()
        .name("idempotency_key_expiry")
        .table("idempotency_key")
        .col("expires_ms")
        .to_owned()
}

fn push_config() -> TableCreateStatement {
    Table::create()
        .table("push_config")
        .col(text("task_id"))
        .col(text("id"))
        .col(ColumnDef::new("config").blob().not_null())
        .primary_key(Index::create().col("task_id").col("id"))
        .to_owned()
}

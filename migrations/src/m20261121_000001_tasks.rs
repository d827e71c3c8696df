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
        manager.create_index(task_lease()).await?;
        manager.create_index(task_interrupted()).await?;
        manager.create_index(task_by_age()).await?;
        manager.create_index(task_with_snapshot()).await?;
        create(manager, task_log()).await?;
        keep_uncompressed(manager, "snapshot").await?;
        create(manager, idempotency_key()).await?;
        manager.create_index(idempotency_key_expiry()).await?;
        manager.create_index(idempotency_key_task()).await?;
        create(manager, push_config()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["push_config", "idempotency_key", "task_log", "task"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Keeps a column of the log as it is written. PostgreSQL would compress what is large: while it does that, everybody's
/// commits wait, and decompressing a long text takes longer than decoding the task in it.
async fn keep_uncompressed(manager: &SchemaManager<'_>, column: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let external = format!("ALTER TABLE task_log ALTER COLUMN {column} SET STORAGE EXTERNAL");
    manager.get_connection().execute_unprepared(&external).await?;
    Ok(())
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
        // The first event that is kept: greater than 1 once retention has taken the beginning of the log.
        .col(number("first_generation").default(1).take())
        .col(number("lease_until_ms").default(0))
        // Which of the caller's messages the agent works on, from 1, and how often it has begun with it.
        .col(number("message").default(1))
        .col(number("attempt").default(1))
        .to_owned()
}

/// The leases that somebody holds, the oldest first: tasks that have settled are not in it, and cost it nothing.
fn task_lease() -> IndexCreateStatement {
    Index::create()
        .name("task_lease")
        .table("task")
        .col("lease_until_ms")
        .col("id")
        .and_where(Expr::col("lease_until_ms").gt(0))
        .to_owned()
}

/// The tasks that wait for their callers (INPUT_REQUIRED, AUTH_REQUIRED), by how long they have.
fn task_interrupted() -> IndexCreateStatement {
    Index::create()
        .name("task_interrupted")
        .table("task")
        .col("agent")
        .col("status_ms")
        .col("id")
        .and_where(Expr::col("state").is_in([6, 8]))
        .to_owned()
}

/// One index for each way of listing; all end with the order (status_ms, id).
fn task_indexes() -> [IndexCreateStatement; 4] {
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
        // Without it a listing by both would read all tasks of the state, or all of the context.
        listing(
            "task_by_context_state",
            &["agent", "owner", "context_id", "state", "status_ms", "id"],
        ),
        listing("task_by_state", &["state", "agent", "owner", "status_ms", "id"]),
    ]
}

/// Ended tasks by age, for retention. Only they are in it, so that an append to a running one need not touch it.
fn task_by_age() -> IndexCreateStatement {
    Index::create()
        .name("task_by_age")
        .table("task")
        .col("agent")
        .col("state")
        .col("status_ms")
        .col("id")
        .and_where(Expr::col("state").is_in([3, 4, 5, 7]))
        .to_owned()
}

/// Tasks whose log has a beginning that a snapshot stands for.
fn task_with_snapshot() -> IndexCreateStatement {
    Index::create()
        .name("task_with_snapshot")
        .table("task")
        .col("id")
        .and_where(Expr::col("snapshot_generation").gt(Expr::col("first_generation")))
        .to_owned()
}

/// The event log. A row holds the events that one commit added to one task, and sometimes a snapshot of the task
/// after the last of them. The epoch is that of the lease under which it was written: it never falls within a log.
fn task_log() -> TableCreateStatement {
    Table::create()
        .table("task_log")
        .col(text("task_id"))
        .col(number("last_generation"))
        .col(number("first_generation"))
        // Before the blobs, so that retention need not read them.
        .col(number("at_ms"))
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

fn idempotency_key_task() -> IndexCreateStatement {
    Index::create()
        .name("idempotency_key_task")
        .table("idempotency_key")
        .col("task_id")
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

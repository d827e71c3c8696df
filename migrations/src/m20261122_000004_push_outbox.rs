//! The outbox of push notifications: which events wait for which configuration, and which configurations are due.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// What a configuration is claimed by. The scope is that of its task, again, so that looking for what is due reads one
/// table. Of the URL, which is sealed, `host` shows the host and the port.
const COLUMNS: [&str; 6] = ["agent", "owner", "host", "due_ms", "claim", "claimed_until_ms"];

/// Configurations of tasks that are gone, if there are any, stay nobody's.
const BACK_FILL: &str = "UPDATE push_config SET \
     agent = COALESCE((SELECT task.agent FROM task WHERE task.id = push_config.task_id), ''), \
     owner = COALESCE((SELECT task.owner FROM task WHERE task.id = push_config.task_id), '')";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(push_outbox()).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            for column in ["task_id", "config_id"] {
                let bytewise =
                    format!(r#"ALTER TABLE push_outbox ALTER COLUMN {column} TYPE TEXT COLLATE "C""#);
                manager.get_connection().execute_unprepared(&bytewise).await?;
            }
        }
        manager.create_index(push_outbox_dead()).await?;
        for column in columns() {
            let add = Table::alter().table("push_config").add_column(column).to_owned();
            manager.alter_table(add).await?;
        }
        manager.get_connection().execute_unprepared(BACK_FILL).await?;
        manager.create_index(push_config_due()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let due = Index::drop()
            .name("push_config_due")
            .table("push_config")
            .to_owned();
        manager.drop_index(due).await?;
        for column in COLUMNS {
            let drop = Table::alter().table("push_config").drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        let outbox = Table::drop().table("push_outbox").to_owned();
        manager.drop_table(outbox).await
    }
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A delivery that is not over: an event of a task for one of its configurations. It waits, unless it has a `dead_ms`.
fn push_outbox() -> TableCreateStatement {
    Table::create()
        .table("push_outbox")
        .col(text("task_id"))
        .col(text("config_id"))
        .col(number("generation"))
        .col(number("since_ms"))
        .col(number("attempts").default(0).take())
        .col(ColumnDef::new("status").big_integer().null())
        .col(ColumnDef::new("cause").text().null())
        .col(ColumnDef::new("dead_ms").big_integer().null())
        .primary_key(Index::create().col("task_id").col("config_id").col("generation"))
        .to_owned()
}

/// The dead letters, by how long they are dead.
fn push_outbox_dead() -> IndexCreateStatement {
    Index::create()
        .name("push_outbox_dead")
        .table("push_outbox")
        .col("dead_ms")
        .and_where(Expr::col("dead_ms").is_not_null())
        .to_owned()
}

fn columns() -> [ColumnDef; 6] {
    let [agent, owner, host, due_ms, claim, claimed_until_ms] = COLUMNS;
    [
        text(agent).default("").take(),
        text(owner).default("").take(),
        text(host).default("").take(),
        ColumnDef::new(due_ms).big_integer().null().take(),
        number(claim).default(0).take(),
        number(claimed_until_ms).default(0).take(),
    ]
}

/// The configurations that something waits for, by when they are due. Those of tasks whose receivers keep up are in it
/// for moments.
fn push_config_due() -> IndexCreateStatement {
    Index::create()
        .name("push_config_due")
        .table("push_config")
        .col("due_ms")
        .and_where(Expr::col("due_ms").is_not_null())
        .to_owned()
}

//! Audit records: the lines of each batch, and what it is found by: the number and the time of its last record.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(audit_record()).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            // Chains are read in the order of their bytes, which is that of their beginnings, on both databases.
            let bytewise = r#"ALTER TABLE audit_record ALTER COLUMN chain TYPE TEXT COLLATE "C""#;
            manager.get_connection().execute_unprepared(bytewise).await?;
        }
        manager.create_index(audit_record_by_time()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table("audit_record").to_owned();
        manager.drop_table(table).await
    }
}

fn audit_record() -> TableCreateStatement {
    Table::create()
        .table("audit_record")
        .col(ColumnDef::new("chain").text().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("at_ms").big_integer().not_null())
        .col(ColumnDef::new("record").text().not_null())
        .primary_key(Index::create().col("chain").col("seq"))
        .to_owned()
}

fn audit_record_by_time() -> IndexCreateStatement {
    Index::create()
        .name("audit_record_by_time")
        .table("audit_record")
        .col("at_ms")
        .col("chain")
        .col("seq")
        .to_owned()
}

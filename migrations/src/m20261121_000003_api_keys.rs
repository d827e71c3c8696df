//! API keys.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(api_key()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("api_key").to_owned())
            .await
    }
}

/// Never the key itself: `hash` is an HMAC of it, under the runtime's key that `hash_key` names.
fn api_key() -> TableCreateStatement {
    let column = ColumnDef::new;
    Table::create()
        .table("api_key")
        .col(column("id").text().not_null().primary_key())
        .col(column("hash").binary().not_null())
        .col(column("hash_key").binary().not_null())
        .col(column("name").text().not_null())
        .col(column("organisation").text())
        .col(column("scopes").text().not_null())
        .col(column("created_ms").big_integer().not_null())
        .col(column("expires_ms").big_integer())
        .col(column("revoked_ms").big_integer())
        .to_owned()
}

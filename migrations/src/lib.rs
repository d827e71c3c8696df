//! The database schema of a2ad, as SeaORM migrations that SQLite and PostgreSQL both take.
//!
//! Expand first, contract a release later: a migration must leave the schema usable for the release before it.

use sea_orm_migration::prelude::*;

mod m20261121_000001_tasks;
mod m20261121_000002_audit;
mod m20261121_000003_api_keys;
mod m20261122_000004_push_outbox;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_tasks::Migration),
            Box::new(m20261121_000002_audit::Migration),
            Box::new(m20261121_000003_api_keys::Migration),
            Box::new(m20261122_000004_push_outbox::Migration),
        ]
    }
}

pub use sea_orm_migration::MigratorTrait;

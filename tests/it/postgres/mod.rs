//! PostgreSQL: the conformance suite, and what only a database on the other end of a wire can do wrong.

mod away;
mod batches;
mod cancel;
mod engine;
mod limits;
mod opening;
mod program;
mod proxy;
mod retention;
mod server;
mod two_programs;

use std::sync::Arc;

use a2ad::repository::TaskRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;

use crate::support::observed::Observed;
use crate::support::postgres::database;

a2ad::repository_conformance!(async || fresh_postgres().await as Arc<dyn TaskRepository>);

/// A database on the shared server that goes away with the repository.
pub async fn fresh_postgres() -> Arc<Observed> {
    let database = database();
    let repository = open(database.url()).await;
    Observed::holding(Arc::new(repository), database)
}

pub async fn open(url: &str) -> SeaOrmRepository {
    open_with(url, &DatabaseSettings::default()).await
}

pub async fn open_with(url: &str, settings: &DatabaseSettings) -> SeaOrmRepository {
    SeaOrmRepository::open_postgres(url, settings, &Shutdown::new())
        .await
        .unwrap()
}

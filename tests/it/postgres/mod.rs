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

use std::sync::{Arc, LazyLock};

use a2ad::repository::TaskRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use tokio::runtime::Runtime;

use crate::support::observed::Observed;
use crate::support::postgres::database;

a2ad::repository_conformance!(async || fresh_postgres().await as Arc<dyn TaskRepository>);

/// A database on the shared server that goes away with the repository.
pub async fn fresh_postgres() -> Arc<Observed> {
    let database = database();
    let repository = open(database.url()).await;
    Observed::holding(Arc::new(repository), database)
}

/// The same for callers that can't wait, whatever runtime they are in.
pub fn fresh_in_the_background() -> Arc<Observed> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let open = || RUNTIME.block_on(fresh_postgres());
    std::thread::scope(|scope| scope.spawn(open).join()).unwrap()
}

pub async fn open(url: &str) -> SeaOrmRepository {
    open_with(url, &DatabaseSettings::default()).await
}

pub async fn open_with(url: &str, settings: &DatabaseSettings) -> SeaOrmRepository {
    SeaOrmRepository::open_postgres(url, settings, &Shutdown::new())
        .await
        .unwrap()
}

//! The way to the database: a pool that is thrown away when it gives no answer in time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::repository::Error;

/// A pool, and how to make a new one like it.
#[derive(Debug)]
pub(super) struct Link {
    pool: ArcSwap<DatabaseConnection>,
    /// How to connect anew; `None` for a file, which no new connection would bring back.
    anew: Option<ConnectOptions>,
    /// How long one piece of work may take.
    limit: Option<Duration>,
}

impl Link {
    /// To a file of this machine.
    pub(super) fn to_file(pool: DatabaseConnection, limit: Option<Duration>) -> Self {
        Self::new(pool, None, limit)
    }

    /// To a server that `options` lead to.
    pub(super) fn to_server(pool: DatabaseConnection, mut options: ConnectOptions, limit: Duration) -> Self {
        options.connect_lazy(true);
        Self::new(pool, Some(options), Some(limit))
    }

    fn new(pool: DatabaseConnection, anew: Option<ConnectOptions>, limit: Option<Duration>) -> Self {
        Self {
            pool: ArcSwap::from_pointee(pool),
            anew,
            limit,
        }
    }

    /// Runs work that is never dropped from outside, and gives up on it after the limit.
    ///
    /// What was given up may hold a connection whose server is out of reach, or which stands in the middle of a
    /// transaction: nobody may find it in the pool, so the whole pool goes.
    pub(super) async fn run<T, F>(&self, work: impl FnOnce(Arc<DatabaseConnection>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let pool = self.pool.load_full();
        let work = work(pool.clone());
        let Some(limit) = self.limit else {
            return work.await;
        };
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => {
                self.renew(&pool).await;
                Err(Error::Unavailable(format!("no answer within {limit:?}")))
            }
        }
    }

    /// Replaces a pool, unless somebody else has done so already.
    async fn renew(&self, failed: &Arc<DatabaseConnection>) {
        let Some(options) = &self.anew else { return };
        match Database::connect(options.clone()).await {
            Ok(pool) => {
                self.pool.compare_and_swap(failed, Arc::new(pool));
            }
            Err(error) => tracing::error!(%error, "no new pool could be made; the old one stays"),
        }
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        if let Err(error) = self.pool.load().close_by_ref().await {
            tracing::warn!(%error, "connections to the database did not close cleanly");
        }
    }
}

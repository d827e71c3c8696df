//! Reads, each in a background task of its own.
//!
//! A request that goes away drops the future that waits, never one that talks to the database: a connection is given
//! back in the state in which it was taken. There are as many reads at once as there are connections; the rest wait in
//! their requests, where giving up costs nothing.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::{Semaphore, oneshot};

use super::link::Link;
use crate::repository::Error;
use crate::shutdown::Shutdown;

#[derive(Debug)]
pub(super) struct Readers {
    link: Arc<Link>,
    free: Arc<Semaphore>,
    patience: Duration,
    shutdown: Shutdown,
}

impl Readers {
    /// Reads over a link whose pool has `connections`; a read waits `patience` for its turn.
    pub(super) fn new(link: Link, connections: u32, patience: Duration, shutdown: &Shutdown) -> Self {
        let connections = usize::try_from(connections.max(1)).unwrap_or(1);
        Self {
            link: Arc::new(link),
            free: Arc::new(Semaphore::new(connections)),
            patience,
            shutdown: shutdown.clone(),
        }
    }

    /// Runs one read. Dropping the returned future leaves the read to end by itself.
    pub(super) async fn run<T, F, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(Arc<DatabaseConnection>) -> F + Send + 'static,
    {
        let turn = tokio::time::timeout(self.patience, self.free.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| Error::Unavailable(format!("all readers are busy for {:?}", self.patience)))?
            .map_err(|_| closed())?;
        let (done, result) = oneshot::channel();
        let link = self.link.clone();
        self.shutdown.spawn_unstoppable("read", async move {
            let outcome = link.run(work).await;
            drop(turn);
            // Whoever asked may be gone.
            let _ = done.send(outcome);
        });
        result.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more reads, and closes the connections once those that run have ended.
    pub(super) async fn close(&self) {
        self.free.close();
        self.link.close().await;
    }
}

fn closed() -> Error {
    Error::Unavailable("the database is being closed".to_owned())
}

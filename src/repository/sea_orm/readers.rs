//! Reads, each in a background task of its own.
//!
//! A request that goes away drops the future that waits, never one that talks to the database: a connection is given
//! back in the state in which it was taken. There are as many reads at once as there are connections; the rest wait in
//! their requests, where giving up costs nothing. Callers take turns, and none of them has all connections: one that
//! lists without end delays another one's read by no more than the read that runs.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use crate::context::{Principal, Scope};
use crate::repository::Error;
use crate::shutdown::Shutdown;
use crate::slots::{Place, Slot, SlotLimits, Slots};

/// For whom a read is made; `None` for the runtime itself.
type Reader = Option<Principal>;

#[derive(Debug)]
pub(super) struct Readers {
    link: Arc<Link>,
    slots: Arc<Slots<Reader>>,
    closed: CancellationToken,
    patience: Duration,
    shutdown: Shutdown,
}

impl Readers {
    /// Reads over a link whose pool has `connections`; a read waits `patience` for its turn.
    pub(super) fn new(link: Link, connections: u32, patience: Duration, shutdown: &Shutdown) -> Self {
        let connections = usize::try_from(connections.max(1)).unwrap_or(1);
        Self {
            link: Arc::new(link),
            slots: Slots::new(SlotLimits {
                slots: connections,
                per_owner: connections - 1,
                // Requests are bounded, and nobody reads without one.
                queue: usize::MAX,
                queue_per_owner: usize::MAX,
            }),
            closed: CancellationToken::new(),
            patience,
            shutdown: shutdown.clone(),
        }
    }

    /// Runs one read for the owner of a scope. Dropping the returned future leaves the read to end by itself.
    pub(super) async fn run_for<T, F, W>(&self, scope: &Scope, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(Arc<DatabaseConnection>) -> F + Send + 'static,
    {
        self.read(Some(scope.owner.clone()), work).await
    }

    /// Runs one read of the runtime's own.
    pub(super) async fn run<T, F, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(Arc<DatabaseConnection>) -> F + Send + 'static,
    {
        self.read(None, work).await
    }

    async fn read<T, F, W>(&self, reader: Reader, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(Arc<DatabaseConnection>) -> F + Send + 'static,
    {
        let turn = self.turn(&reader).await?;
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

    /// Waits for a connection. Safe to cancel.
    async fn turn(&self, reader: &Reader) -> Result<Slot<Reader>, Error> {
        if self.closed.is_cancelled() {
            return Err(closed());
        }
        let mut ticket = match self.slots.enter_anyway(reader) {
            Place::Free(slot) => return Ok(slot),
            Place::Queued(ticket) => ticket,
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(closed()),
            slot = ticket.ready() => Ok(slot),
            () = tokio::time::sleep(self.patience) => {
                Err(Error::Unavailable(format!("all readers are busy for {:?}", self.patience)))
            }
        }
    }

    /// Takes no more reads, and closes the connections once those that run have ended.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        self.link.close().await;
    }
}

fn closed() -> Error {
    Error::Unavailable("the database is being closed".to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::repository::conformance::scope;
    use crate::repository::sea_orm::connect;

    async fn readers(folder: &tempfile::TempDir, connections: u32, patience: Duration) -> Readers {
        let path = folder.path().join("tasks.db");
        let writer = connect::sqlite(&path, 1, false).await.unwrap();
        connect::migrate(&writer).await.unwrap();
        let pool = connect::sqlite(&path, connections, true).await.unwrap();
        let link = Link::to_file(pool, Some(Duration::from_secs(600)));
        Readers::new(link, connections, patience, &Shutdown::new())
    }

    /// A read that takes until it is let go.
    async fn read(readers: &Readers, name: &str, gate: &Arc<Semaphore>) -> Result<String, Error> {
        let (gate, said) = (gate.clone(), name.to_owned());
        let work = async move |_| {
            gate.acquire().await.unwrap().forget();
            Ok(said)
        };
        readers.run_for(&scope(name), work).await
    }

    /// A fault once: one caller's many listings ended everybody's reads with "all readers are busy".
    #[tokio::test]
    async fn a_caller_with_many_reads_leaves_a_connection_to_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, 3, Duration::from_secs(60)).await;
        let (slow, quick) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(1_000)));
        let greedy = join_all((0..50).map(|_| read(&readers, "greedy", &slow)));
        let others = async {
            for _ in 0..100 {
                let modest = tokio::join!(read(&readers, "modest", &quick), read(&readers, "shy", &quick));
                assert_eq!(modest, (Ok("modest".to_owned()), Ok("shy".to_owned())));
                assert_eq!(readers.run(async |_| Ok(())).await, Ok(()), "the runtime's own");
            }
            slow.add_permits(50);
        };
        let (greedy, ()) = tokio::join!(greedy, others);
        assert!(greedy.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn whoever_waits_too_long_or_behind_the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, 2, Duration::from_millis(20)).await;
        let gate = Arc::new(Semaphore::new(0));
        let (first, second) = tokio::join!(read(&readers, "a", &gate), async {
            let second = read(&readers, "a", &gate).await;
            gate.add_permits(1);
            second
        });
        assert_eq!(first, Ok("a".to_owned()));
        assert!(
            matches!(&second, Err(Error::Unavailable(why)) if why.contains("busy")),
            "{second:?}"
        );
        readers.close().await;
        assert_eq!(read(&readers, "a", &gate).await, Err(closed()));
    }
}

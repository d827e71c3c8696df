//! Group commit: whatever waits when a transaction ends goes into the next one together.
//!
//! While one transaction is on its way to the disk, the changes of all other tasks queue up; so the number of syncs
//! follows the disk's speed, not the number of tasks. The committer is a background task that nobody can cancel.

use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::prune::{self, Removal};
use super::{DatabaseSettings, batch, side};
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::{Error, TaskWrite};
use crate::shutdown::Shutdown;

/// How often expired idempotency keys are removed, and how many at once: the writer is held up for milliseconds, and
/// keys still go faster than callers can make them.
const KEY_CARE_EVERY: Duration = Duration::from_secs(1);
const KEYS_AT_ONCE: u64 = 5_000;

type Done<T> = oneshot::Sender<Result<T, Error>>;

/// A change that waits for the writer connection.
pub(super) enum Work {
    Task(Box<TaskWrite>, Done<()>),
    PutPushConfig {
        scope: Scope,
        config: Box<TaskPushNotificationConfig>,
        limit: usize,
        done: Done<bool>,
    },
    DeletePushConfig {
        scope: Scope,
        task_id: String,
        id: String,
        done: Done<bool>,
    },
    Remove(Removal, Done<()>),
    Close,
}

/// The queue's end that callers hold.
#[derive(Debug)]
pub(super) struct Committer {
    queue: mpsc::Sender<Work>,
    /// Cancelled once the writer has ended, for however many wait for it.
    closed: CancellationToken,
}

impl Committer {
    /// Starts the writer over its one connection.
    pub(super) fn start(
        connection: DatabaseConnection,
        settings: &DatabaseSettings,
        shutdown: &Shutdown,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(settings.commit_queue_max.max(1));
        let closed = CancellationToken::new();
        let writer = Writer {
            connection,
            waiting,
            batch_max: settings.commit_batch_max.max(1),
            cared: Instant::now(),
        };
        let ended = closed.clone().drop_guard();
        shutdown.spawn_unstoppable("committer", async move {
            let _ended = ended;
            writer.run().await;
        });
        Self { queue, closed }
    }

    /// Queues a change and waits until it is durable. Waits while the queue is full.
    pub(super) async fn run<T>(&self, work: impl FnOnce(Done<T>) -> Work) -> Result<T, Error> {
        let gone = || Error::Unavailable("the database is being closed".to_owned());
        let (done, result) = oneshot::channel();
        self.queue.send(work(done)).await.map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Lets everything that is queued finish, then closes the connection.
    pub(super) async fn close(&self) {
        // A queue that takes no more is one that another caller has closed.
        let _ = self.queue.send(Work::Close).await;
        self.closed.cancelled().await;
    }
}

fn borrowed(round: &[(Box<TaskWrite>, Done<()>)]) -> Vec<&TaskWrite> {
    round.iter().map(|(write, _)| &**write).collect()
}

struct Writer {
    connection: DatabaseConnection,
    waiting: mpsc::Receiver<Work>,
    batch_max: usize,
    cared: Instant,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(self.batch_max);
        let mut open = true;
        while open && self.waiting.recv_many(&mut batch, self.batch_max).await > 0 {
            open = self.serve(&mut batch).await;
            if self.cared.elapsed() > KEY_CARE_EVERY {
                self.care().await;
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the writer connection did not close cleanly");
        }
    }

    /// Serves one batch; false when it asked to close.
    async fn serve(&mut self, batch: &mut Vec<Work>) -> bool {
        let mut tasks = Vec::with_capacity(batch.len());
        let mut open = true;
        for work in batch.drain(..) {
            match work {
                Work::Task(write, done) => tasks.push((write, done)),
                Work::PutPushConfig {
                    scope,
                    config,
                    limit,
                    done,
                } => {
                    let _ = done.send(side::put_push_config(&self.connection, &scope, &config, limit).await);
                }
                Work::DeletePushConfig {
                    scope,
                    task_id,
                    id,
                    done,
                } => {
                    let _ =
                        done.send(side::delete_push_config(&self.connection, &scope, &task_id, &id).await);
                }
                Work::Remove(removal, done) => {
                    let _ = done.send(prune::remove(&self.connection, &removal).await);
                }
                Work::Close => open = false,
            }
        }
        if !tasks.is_empty() {
            self.commit(tasks).await;
        }
        open
    }

    /// One task may be in a batch several times; its changes build on each other, so only the first goes along and
    /// the rest follow in the next round.
    async fn commit(&mut self, mut tasks: Vec<(Box<TaskWrite>, Done<()>)>) {
        while !tasks.is_empty() {
            let mut seen = std::collections::HashSet::with_capacity(tasks.len());
            let (round, later): (Vec<_>, Vec<_>) = tasks
                .into_iter()
                .partition(|(write, _)| seen.insert(write.task_id.clone()));
            let results = batch::write(&self.connection, &borrowed(&round)).await;
            for ((_, done), result) in round.into_iter().zip(results) {
                // A caller that went away does not need the answer; the change stands.
                let _ = done.send(result);
            }
            tasks = later;
        }
    }

    async fn care(&mut self) {
        self.cared = Instant::now();
        if let Err(error) = side::forget_expired_keys(&self.connection, KEYS_AT_ONCE).await {
            tracing::warn!(%error, "expired idempotency keys could not be removed");
        }
    }
}

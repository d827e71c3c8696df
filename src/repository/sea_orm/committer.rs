//! Group commit: whatever waits when a transaction ends goes into the next one together.
//!
//! While one transaction is on its way to the disk, the changes of all other tasks queue up; so the number of syncs
//! follows the disk's speed, not the number of tasks. The committer is a background task that nobody can cancel.
//!
//! What else changes a task (its holder, its push configurations, its removal) takes its turn in the same queue, in a
//! transaction of its own between those of the commits that came before it and those that came after it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::removal::{self, Gone, Removal};
use super::sealing::Sealing;
use super::wal::Wal;
use super::{DatabaseSettings, audit, batch, lease, push, side};
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::{Error, IdempotencyKey, Lapsed, TaskWrite};
use crate::shutdown::Shutdown;

/// How often the size of the log is looked at and expired idempotency keys are removed, and how many of them at once:
/// the writer is held up for milliseconds, and keys still go faster than callers can make them.
const CARE_EVERY: Duration = Duration::from_secs(1);
const KEYS_AT_ONCE: u64 = 5_000;

/// Heartbeats that wait for the writer connection; more wait for room.
const BEATS_MAX: usize = 64;

/// The same while nobody writes: keys expire and readers let go of the log by then too.
const IDLE_CARE_EVERY: Duration = Duration::from_secs(5);

pub(super) type Done<T> = oneshot::Sender<Result<T, Error>>;

/// What waits for the writer connection.
pub(super) enum Work {
    /// Goes into one transaction with others of its kind.
    Task(Box<TaskWrite>, Done<()>),
    Change(Change),
    Close,
}

/// What takes its turn alone.
pub(super) enum Change {
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
    TakeOver {
        lapsed: Box<Lapsed>,
        ttl: Duration,
        done: Done<bool>,
    },
    Release {
        task_id: String,
        epoch: u64,
        done: Done<bool>,
    },
    Remove(Removal, Done<Gone>),
    Audit(audit::Work),
    Push(push::Work),
}

/// Leases to be prolonged. They don't stand in line with the changes: a lease must not run out because there is much to
/// write.
struct Beat {
    leases: Vec<(Arc<str>, u64)>,
    ttl: Duration,
    done: Done<Vec<Arc<str>>>,
}

impl From<Change> for Work {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

/// All committers. Whatever changes one task goes through the same one of them and happens in the order in which it was
/// asked for. So two of them never want the rows of one task; rows that they may both want (idempotency keys) each of
/// them takes in the same order.
#[derive(Debug)]
pub(super) struct Committers(Vec<Committer>);

impl Committers {
    /// Starts a writer over each of the links; there is at least one.
    pub(super) fn start(
        links: Vec<Link>,
        settings: &DatabaseSettings,
        sealing: &Arc<Sealing>,
        shutdown: &Shutdown,
    ) -> Self {
        let start = |(number, link)| Committer::start(link, number == 0, settings, sealing.clone(), shutdown);
        Self(links.into_iter().enumerate().map(start).collect())
    }

    /// The committer of a task.
    pub(super) fn of(&self, task_id: &str) -> &Committer {
        &self.0[self.number_of(task_id)]
    }

    pub(super) fn number_of(&self, task_id: &str) -> usize {
        if self.0.len() == 1 {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        task_id.hash(&mut hasher);
        let number = hasher.finish() % self.0.len() as u64;
        usize::try_from(number).unwrap_or(0)
    }

    /// Prolongs leases, each through its task's committer.
    pub(super) async fn renew(
        &self,
        leases: &[(Arc<str>, u64)],
        ttl: Duration,
    ) -> Result<Vec<Arc<str>>, Error> {
        let mut shares = vec![Vec::new(); self.0.len()];
        for lease in leases {
            shares[self.number_of(&lease.0)].push(lease.clone());
        }
        let wanted = self.0.iter().zip(shares).filter(|(_, leases)| !leases.is_empty());
        let renewed = wanted.map(|(committer, leases)| committer.renew(leases, ttl));
        Ok(futures_util::future::try_join_all(renewed).await?.concat())
    }

    /// Removes rows, each through its task's committer; a part of them may be gone when another fails.
    pub(super) async fn remove(&self, removal: Removal) -> Result<Gone, Error> {
        let mut shares: Vec<Removal> = self.0.iter().map(|_| Removal::default()).collect();
        for part in removal.0 {
            shares[self.number_of(&part.task_id)].0.push(part);
        }
        let wanted = self.0.iter().zip(shares).filter(|(_, share)| !share.0.is_empty());
        let removed = wanted.map(|(committer, share)| committer.run(move |done| Change::Remove(share, done)));
        let gone = futures_util::future::try_join_all(removed).await?;
        Ok(gone.into_iter().fold(Gone::default(), Gone::and))
    }

    /// Lets everything that is queued finish, then closes the connections.
    pub(super) async fn close(&self) {
        futures_util::future::join_all(self.0.iter().map(Committer::close)).await;
    }
}

/// The end of one committer's queue that callers hold.
#[derive(Debug)]
pub(super) struct Committer {
    queue: mpsc::Sender<Work>,
    beats: mpsc::Sender<Beat>,
    /// Cancelled once the writer has ended, for however many wait for it.
    closed: CancellationToken,
}

impl Committer {
    /// Starts the writer over its one connection; one of them `cares` for what nobody needs any more.
    fn start(
        link: Link,
        cares: bool,
        settings: &DatabaseSettings,
        sealing: Arc<Sealing>,
        shutdown: &Shutdown,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(settings.commit_queue_max.max(1));
        let (beats, beats_waiting) = mpsc::channel(BEATS_MAX);
        let closed = CancellationToken::new();
        let writer = Writer {
            link,
            cares,
            sealing,
            waiting,
            beats: beats_waiting,
            batch_max: settings.commit_batch_max.max(1),
            cared: Instant::now(),
            wal: Wal {
                bytes_max: settings.wal_bytes_max,
            },
        };
        let ended = closed.clone().drop_guard();
        shutdown.spawn_unstoppable("committer", async move {
            let _ended = ended;
            writer.run().await;
        });
        Self { queue, beats, closed }
    }

    /// Prolongs leases before the next batch of changes. One that nobody waits for any more by then is left out.
    async fn renew(&self, leases: Vec<(Arc<str>, u64)>, ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        let (done, result) = oneshot::channel();
        let beat = Beat { leases, ttl, done };
        self.beats.send(beat).await.map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Queues a change and waits until it is durable. Waits while the queue is full.
    pub(super) async fn run<T, W: Into<Work>>(&self, work: impl FnOnce(Done<T>) -> W) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        self.queue.send(work(done).into()).await.map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Lets everything that is queued finish, then closes the connection.
    async fn close(&self) {
        // A queue that takes no more is one that another caller has closed.
        let _ = self.queue.send(Work::Close).await;
        self.closed.cancelled().await;
    }
}

fn gone() -> Error {
    Error::Unavailable("the database is being closed".to_owned())
}

fn borrowed(round: &[(Box<TaskWrite>, Done<()>)]) -> Vec<&TaskWrite> {
    round.iter().map(|(write, _)| &**write).collect()
}

/// What is in a round already. A statement must not meet one row twice.
#[derive(Default)]
struct Seen {
    tasks: HashSet<Arc<str>>,
    keys: HashSet<(Scope, Arc<str>)>,
}

impl Seen {
    /// True if nothing of the write is in the round. One that has to wait is remembered too: what comes behind it must
    /// not overtake it.
    fn admits(&mut self, write: &TaskWrite) -> bool {
        let place = |key: &IdempotencyKey| (write.scope.clone(), key.key.clone());
        let free = write.keys.iter().all(|key| !self.keys.contains(&place(key)));
        self.keys.extend(write.keys.iter().map(place));
        self.tasks.insert(write.task_id.clone()) && free
    }
}

struct Writer {
    link: Link,
    cares: bool,
    sealing: Arc<Sealing>,
    waiting: mpsc::Receiver<Work>,
    beats: mpsc::Receiver<Beat>,
    batch_max: usize,
    cared: Instant,
    wal: Wal,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(self.batch_max);
        let mut open = true;
        while open {
            // One before each batch: neither heartbeats nor changes hold the others up, however many there are.
            if let Ok(beat) = self.beats.try_recv() {
                self.renew(beat).await;
            }
            let rest = IDLE_CARE_EVERY.saturating_sub(self.cared.elapsed());
            tokio::select! {
                biased;
                count = self.waiting.recv_many(&mut batch, self.batch_max) => {
                    open = count > 0 && self.serve(&mut batch).await;
                }
                Some(beat) = self.beats.recv() => self.renew(beat).await,
                () = tokio::time::sleep(rest), if self.cares => self.care().await,
            }
            if self.cares && self.cared.elapsed() > CARE_EVERY {
                self.care().await;
            }
        }
        self.link.close().await;
    }

    async fn renew(&self, beat: Beat) {
        let Beat { leases, ttl, done } = beat;
        if done.is_closed() {
            return;
        }
        let renew = async |pool: Arc<_>| lease::renew(&pool, &leases, ttl).await;
        let _ = done.send(self.link.run(renew).await);
    }

    /// Serves one batch in order; false when it asked to close.
    async fn serve(&mut self, batch: &mut Vec<Work>) -> bool {
        let mut tasks = Vec::with_capacity(batch.len());
        let mut open = true;
        for work in batch.drain(..) {
            match work {
                Work::Task(write, done) => tasks.push((write, done)),
                Work::Change(change) => {
                    self.commit(std::mem::take(&mut tasks)).await;
                    self.change(change).await;
                }
                Work::Close => open = false,
            }
        }
        self.commit(tasks).await;
        open
    }

    /// A caller that went away does not need its answer; the change stands.
    async fn change(&self, change: Change) {
        match change {
            Change::PutPushConfig {
                scope,
                config,
                limit,
                done,
            } => {
                let sealing = &self.sealing;
                let put =
                    async |pool: Arc<_>| side::put_push_config(&pool, sealing, &scope, &config, limit).await;
                let _ = done.send(self.link.run(put).await);
            }
            Change::DeletePushConfig {
                scope,
                task_id,
                id,
                done,
            } => {
                let delete =
                    async |pool: Arc<_>| side::delete_push_config(&pool, &scope, &task_id, &id).await;
                let _ = done.send(self.link.run(delete).await);
            }
            Change::Release { task_id, epoch, done } => {
                let release = async |pool: Arc<_>| lease::release(&pool, &task_id, epoch).await;
                let _ = done.send(self.link.run(release).await);
            }
            Change::TakeOver { lapsed, ttl, done } => {
                let take_over = async |pool: Arc<_>| lease::take_over(&pool, &lapsed, ttl).await;
                let _ = done.send(self.link.run(take_over).await);
            }
            Change::Remove(removal, done) => {
                let remove = async |pool: Arc<_>| removal::remove(&pool, &removal).await;
                let _ = done.send(self.link.run(remove).await);
            }
            Change::Audit(work) => work.run(&self.link).await,
            Change::Push(work) => work.run(&self.link, &self.sealing).await,
        }
    }

    /// One task may be in a batch several times; its changes build on each other, so only the first goes along and
    /// the rest follow in the next round. The same holds for several tasks that want one idempotency key.
    async fn commit(&mut self, mut tasks: Vec<(Box<TaskWrite>, Done<()>)>) {
        while !tasks.is_empty() {
            let mut seen = Seen::default();
            let (round, later): (Vec<_>, Vec<_>) =
                tasks.into_iter().partition(|(write, _)| seen.admits(write));
            let results = self.write(&round).await;
            for ((_, done), result) in round.into_iter().zip(results) {
                // A caller that went away does not need the answer; the change stands.
                let _ = done.send(result);
            }
            tasks = later;
        }
    }

    /// Writes one round; without an answer of the database, nobody knows what became of any of them.
    async fn write(&self, round: &[(Box<TaskWrite>, Done<()>)]) -> Vec<Result<(), Error>> {
        let writes = borrowed(round);
        let written = self
            .link
            .run(async |pool: Arc<_>| Ok(batch::write(&pool, &self.sealing, &writes).await));
        match written.await {
            Ok(results) => results,
            Err(error) => vec![Err(error); writes.len()],
        }
    }

    async fn care(&mut self) {
        self.cared = Instant::now();
        let forget = async |pool: Arc<_>| side::forget_expired_keys(&pool, KEYS_AT_ONCE).await;
        if let Err(error) = self.link.run(forget).await {
            tracing::warn!(%error, "expired idempotency keys could not be removed");
        }
        let wal = self.wal;
        let bound = async |pool: Arc<_>| {
            wal.bound(&pool).await;
            Ok(())
        };
        if let Err(error) = self.link.run(bound).await {
            tracing::warn!(%error, "the size of the log could not be looked at");
        }
    }
}

//! The end of the process, and the only place that spawns.
//!
//! Two tokens: *drain* (take nothing new, finish what runs) and *abort* (stop now). Every background task has a
//! name, is counted until it ends, and logs when it panics, so that nothing runs on unseen.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The two tokens and the count of running background tasks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A handle for a process that has just started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to take nothing new and to finish. Calling it twice does nothing more.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Asks everybody to stop at once; implies [`Shutdown::drain`].
    pub fn abort(&self) {
        self.drain.cancel();
        self.abort.cancel();
    }

    /// True once draining has begun.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// True once everything was told to stop at once.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    /// Resolves when draining begins.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when everything must stop at once.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }

    /// The drain token, for libraries that take one.
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Runs `work` in the background until it ends or everything is aborted.
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let abort = self.abort.clone();
        self.spawn_unstoppable(name, async move {
            tokio::select! {
                // In this order always: a simulation must not depend on a toss.
                biased;
                () = work => {}
                () = abort.cancelled() => {}
            }
        });
    }

    /// Runs `work` in the background until it ends by itself, even when everything else is aborted: for writers
    /// that must not be cut off in the middle of a transaction.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn_unstoppable<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a background task panicked");
            }
        });
    }

    /// Waits until all background tasks have ended, at most `limit`. True when they have.
    pub async fn finished(&self, limit: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait()).await.is_ok()
    }

    /// The number of background tasks that run now.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }
}

/// Runs work to its end, also when whoever waits for it is dropped in the middle: for what has to follow a commit. There
/// are places for so much at once; the rest waits in its requests. Clones share the places.
#[derive(Clone, Debug)]
pub struct Finisher {
    shutdown: Shutdown,
    places: Arc<Semaphore>,
}

impl Finisher {
    /// One whose work counts as background tasks of `shutdown`, so many of them at once; one at least.
    pub fn new(shutdown: &Shutdown, places: usize) -> Self {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            shutdown: shutdown.clone(),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// What `work` came to; `None` when it panicked. It begins once there is a place for it, and whoever is dropped before
    /// leaves nothing behind. From then on it goes on by itself, and has its place until it is over.
    pub async fn finish<T, F>(&self, name: &'static str, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let place = self.places.clone().acquire_owned().await.ok()?;
        let (done, outcome) = oneshot::channel();
        let work = async move {
            let came_to = work.await;
            drop(place);
            // Whoever asked may be gone.
            let _ = done.send(came_to);
        };
        self.shutdown.spawn_unstoppable(name, work.in_current_span());
        outcome.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that says that it was begun, and goes on until it is told to end.
    fn work(begun: &Arc<Semaphore>, end: &CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let (begun, end) = (begun.clone(), end.clone());
        async move {
            begun.add_permits(1);
            end.cancelled().await;
        }
    }

    #[tokio::test]
    async fn who_is_dropped_before_there_is_a_place_leaves_nothing_behind() {
        let (shutdown, begun, end) = (
            Shutdown::new(),
            Arc::new(Semaphore::new(0)),
            CancellationToken::new(),
        );
        let finisher = Finisher::new(&shutdown, 2);
        for _ in 0..100 {
            let call = finisher.finish("test", work(&begun, &end));
            assert!(call.now_or_never().is_none());
        }
        assert_eq!(shutdown.running(), 2, "those that had a place go on");
        end.cancel();
        let last = finisher.finish("test", work(&begun, &end)).await;
        assert_eq!((last, begun.available_permits()), (Some(()), 3));
        assert!(shutdown.finished(Duration::from_secs(60)).await);
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_work_panicked() {
        let finisher = Finisher::new(&Shutdown::new(), 1);
        assert_eq!(
            finisher.finish("test", async { panic!("on purpose") }).await,
            None::<()>
        );
        assert_eq!(finisher.finish("test", async { 7 }).await, Some(7));
    }
}

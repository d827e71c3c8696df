//! The end of the process, and the only place that spawns.
//!
//! Two tokens: *drain* (take nothing new, finish what runs) and *abort* (stop now). Every background task has a
//! name, is counted until it ends, and logs when it panics, so that nothing runs on unseen.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
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

    /// Runs `work` to its end, also when whoever waits for it is dropped in the middle: for what has to follow a commit.
    /// What it came to; `None` when it panicked.
    pub async fn finish<T, F>(&self, name: &'static str, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let work = async move {
            // Whoever asked may be gone.
            let _ = done.send(work.await);
        };
        self.spawn_unstoppable(name, work.in_current_span());
        outcome.await.ok()
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

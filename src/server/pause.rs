//! Waiting until everything that is ready to run has run.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A pause of a task that is woken for other reasons as well, as often as it likes.
///
/// tokio's `yield_now` takes any second poll for its end, and a connection is polled for each answer that its requests
/// give. Here the end is told from the rest by a waker of its own.
pub(super) struct Pause {
    end: Arc<End>,
    waker: Waker,
    /// The runtime has the waker, and has not used it.
    has_begun: bool,
    /// Nobody waits for the end any more.
    is_forsaken: bool,
}

#[derive(Default)]
struct End {
    has_come: AtomicBool,
    task: AtomicWaker,
}

impl Wake for End {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Pause {
    pub(super) fn new() -> Self {
        let end = Arc::new(End::default());
        Self {
            waker: Waker::from(Arc::clone(&end)),
            end,
            has_begun: false,
            is_forsaken: false,
        }
    }

    /// Ends a pause that nobody needs any more.
    pub(super) fn forsake(&mut self) {
        self.is_forsaken = self.has_begun;
    }

    /// Begins a pause if there is none; ready when it is over, which a next one can follow.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.end.task.register(cx.waker());
        if self.end.has_come.swap(false, Ordering::AcqRel) {
            self.has_begun = false;
            if !std::mem::take(&mut self.is_forsaken) {
                return Poll::Ready(());
            }
        }
        // One that was forsaken and has not ended yet is as good as a new one.
        self.is_forsaken = false;
        if !self.has_begun {
            self.has_begun = true;
            // The first poll leaves the waker with the runtime, which is all that is wanted of it.
            let begun = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&self.waker));
            debug_assert!(begun.is_pending());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Mutex;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn a_pause_ends_behind_all_that_was_ready() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let seen = Arc::clone(&seen);
            move || seen.lock().unwrap().push(what)
        };
        let ends = [note("first"), note("second")];
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut pause = Pause::new();
            for end in ends {
                poll_fn(|cx| pause.poll_over(cx)).await;
                end();
            }
        });
        for ready in [note("a"), note("b")] {
            tasks.spawn(async move { ready() });
        }
        tasks.join_all().await;
        assert_eq!(*seen.lock().unwrap(), ["a", "b", "first", "second"]);
    }

    #[tokio::test]
    async fn what_else_wakes_the_task_does_not_end_it() {
        let mut pause = Pause::new();
        for _ in 0..10 {
            // Polled again and again before the runtime has its thread back.
            assert!(poll_fn(|cx| Poll::Ready(pause.poll_over(cx))).await.is_pending());
        }
        poll_fn(|cx| pause.poll_over(cx)).await;
        assert!(
            poll_fn(|cx| Poll::Ready(pause.poll_over(cx))).await.is_pending(),
            "the next one has only begun"
        );
    }

    #[tokio::test]
    async fn the_end_of_a_forsaken_pause_is_not_that_of_the_next() {
        let mut pause = Pause::new();
        assert!(poll_fn(|cx| Poll::Ready(pause.poll_over(cx))).await.is_pending());
        pause.forsake();
        while !pause.end.has_come.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert!(poll_fn(|cx| Poll::Ready(pause.poll_over(cx))).await.is_pending());
        poll_fn(|cx| pause.poll_over(cx)).await;
    }
}

//! How long the other side has left something unread.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Tells when a wait has lasted too long. A client that reads never touches the timer, and one that reads with pauses
/// sets it once per limit: it rings at the old time, and is only then set to what has become the end of the wait.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            alarm: None,
        }
    }

    /// What was waiting went on its way.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Something begins to wait now, whatever waited before.
    pub(super) fn begin(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Something waits, since now unless it did already.
    pub(super) fn go_on(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Ready once what waits has waited for the limit; wakes the task then.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(since) = self.since else {
            return Poll::Pending;
        };
        let end = since + self.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_over_at_its_limit() {
        let (mut stall, begun) = (Stall::new(LIMIT), Instant::now());
        stall.go_on();
        poll_fn(|cx| stall.poll_over(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn every_new_wait_has_the_whole_limit() {
        let (mut stall, begun) = (Stall::new(LIMIT), Instant::now());
        for _ in 0..10 {
            stall.begin();
            let over =
                tokio::time::timeout(LIMIT - Duration::from_secs(1), poll_fn(|cx| stall.poll_over(cx)));
            assert!(over.await.is_err(), "after {:?}", begun.elapsed());
        }
        stall.end();
        let over = tokio::time::timeout(10 * LIMIT, poll_fn(|cx| stall.poll_over(cx)));
        assert!(over.await.is_err(), "nothing waits");
        let again = Instant::now();
        stall.go_on();
        poll_fn(|cx| stall.poll_over(cx)).await;
        assert_eq!(again.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_goes_on_does_not_begin_anew() {
        let (mut stall, begun) = (Stall::new(LIMIT), Instant::now());
        for _ in 0..3 {
            stall.go_on();
            let over = tokio::time::timeout(LIMIT / 4, poll_fn(|cx| stall.poll_over(cx)));
            assert!(over.await.is_err());
        }
        stall.go_on();
        poll_fn(|cx| stall.poll_over(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }
}

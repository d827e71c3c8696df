//! The requests of one HTTP/2 connection: each runs in a task of its own, and they are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::response::PatientResponse;
use crate::shutdown::Shutdown;

/// Runs the requests of a connection.
///
/// They need no stop of their own: when a connection is dropped, hyper ends its requests. One token less to poll
/// for each of them.
#[derive(Clone)]
pub(super) struct RequestExecutor {
    pub(super) shutdown: Shutdown,
    pub(super) write_timeout: Duration,
    pub(super) open: OpenRequests,
}

impl<F> hyper::rt::Executor<F> for RequestExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let request = PatientResponse::new(request, self.write_timeout);
        let open = self.open.one_more();
        self.shutdown.spawn_unstoppable("http2 request", async move {
            request.await;
            drop(open);
        });
    }
}

/// How many requests of a connection are not answered to the end yet, and how many are.
#[derive(Clone, Default)]
pub(super) struct OpenRequests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    ended: AtomicU64,
}

/// Counts as one request while it lives.
pub(super) struct OpenRequest(OpenRequests);

impl OpenRequests {
    pub(super) fn any(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Resolves when there was no request for `limit`, at the latest half as long later: the clock is not asked for
    /// each request.
    pub(super) async fn none_for(&self, limit: Duration) {
        let (mut ended, mut halves) = (0, 0);
        while halves < 2 {
            tokio::time::sleep(limit / 2).await;
            let now = self.0.ended.load(Ordering::Relaxed);
            halves = if self.any() || now != ended { 0 } else { halves + 1 };
            ended = now;
        }
    }

    pub(super) fn one_more(&self) -> OpenRequest {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.0.open.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_had_no_request_for_the_limit() {
        let (open, begun) = (OpenRequests::default(), Instant::now());
        open.none_for(LIMIT).await;
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn neither_an_open_request_nor_short_ones_leave_it_idle() {
        let open = OpenRequests::default();
        let use_it = async {
            let long = open.one_more();
            tokio::time::sleep(10 * LIMIT).await;
            drop(long);
            for _ in 0..20 {
                tokio::time::sleep(LIMIT * 9 / 10).await;
                drop(open.one_more());
            }
            Instant::now()
        };
        let idle = async {
            open.none_for(LIMIT).await;
            Instant::now()
        };
        let (used, idle) = tokio::join!(use_it, idle);
        let late = idle.duration_since(used);
        assert!(LIMIT <= late && late <= LIMIT * 3 / 2, "{late:?}");
    }
}

//! The requests of one HTTP/2 connection: each runs in a task of its own, and they are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// How many requests of a connection are not answered to the end yet.
#[derive(Clone, Default)]
pub(super) struct OpenRequests(Arc<AtomicUsize>);

/// Counts as one request while it lives.
pub(super) struct OpenRequest(OpenRequests);

impl OpenRequests {
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(super) fn one_more(&self) -> OpenRequest {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Release);
    }
}

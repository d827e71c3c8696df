//! When bytes last went out: what the limits of time of a call with uploads count from.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// When the connection last took bytes of the uploads of a call, over all attempts. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Mutex<Option<Instant>>>);

impl Pace {
    /// Something went out.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Does the work within `limit`, which begins anew whenever something went out; `None` when the time is over. A limit
    /// beyond all time is none.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut since = Instant::now();
        loop {
            let Some(deadline) = since.checked_add(limit) else {
                return Some(work.await);
            };
            if let Ok(done) = timeout_at(deadline, work.as_mut()).await {
                return Some(done);
            }
            let moved = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            since = moved.filter(|moved| *moved > since)?;
        }
    }
}

//! A way off the async threads for agents that compute.

use tokio::sync::Semaphore;

use super::threads::on_own_thread;

/// Computations that run at once in a process, as many as tokio's own threads for such work by default.
const AT_ONCE: usize = 512;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// The computation did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the computation panicked, or there was no thread for it")]
pub struct BlockingError;

/// Runs `work` on a thread of its own and waits for the result, so that a CPU-bound agent does not hold up the
/// streams of others.
///
/// At most 512 run at once in a process; more wait for their turn. They take none of the runtime's own threads, and
/// the end of the process does not wait for them. `work` goes on when the future is dropped after it began.
///
/// # Errors
/// When `work` panics, or the system gives no thread.
pub async fn run_blocking<T, F>(work: F) -> Result<T, BlockingError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let turn = TURNS.acquire().await.map_err(|_| BlockingError)?;
    let run = move || {
        let _turn = turn;
        work()
    };
    let outcome = on_own_thread(run).map_err(|error| {
        tracing::error!(%error, "a computation got no thread");
        BlockingError
    })?;
    outcome.await.map_err(|_| BlockingError)
}

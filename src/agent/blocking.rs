//! A way off the async threads for agents that compute.

/// The computation did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the computation panicked or the runtime is shutting down")]
pub struct BlockingError;

/// Runs `work` on a thread of its own and waits for the result, so that a CPU-bound agent does not hold up the
/// streams of others.
///
/// # Errors
/// When `work` panics or the runtime ends before it ran.
pub async fn run_blocking<T, F>(work: F) -> Result<T, BlockingError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| BlockingError)
}

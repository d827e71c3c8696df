//! Where the code of agents runs: on the async threads, watched, or on a thread of its own.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, AgentError, on_own_thread};

/// Runs an agent's code here, and takes note when it keeps the thread for longer than `poll_max`.
pub(super) async fn watched<F: Future>(work: F, agent: Arc<Agent>, poll_max: Duration) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let began = Instant::now();
        let polled = work.as_mut().poll(cx);
        if began.elapsed() > poll_max {
            agent.has_held_a_thread(began, Instant::now());
        }
        polled
    })
    .await
}

/// Runs an agent's code on a thread of its own. Dropped, it ends at its next wait; the thread keeps `held` until then,
/// so that there are never more threads than what is held.
///
/// # Errors
/// When there is no thread for it, or the process stops meanwhile; the text is for the task.
pub(super) async fn off_thread<T, H>(
    work: impl Future<Output = T> + Send + 'static,
    held: H,
) -> Result<T, AgentError>
where
    T: Send + 'static,
    H: Send + 'static,
{
    let stop = CancellationToken::new();
    let _stops_when_dropped = stop.clone().drop_guard();
    let runtime = Handle::current();
    let run = move || {
        let _held = held;
        runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                () = stop.cancelled() => None,
            }
        })
    };
    let outcome = on_own_thread(run).map_err(|error| {
        tracing::error!(%error, "an agent got no thread");
        AgentError::new("the server has no thread for the agent")
    })?;
    let done = outcome.await.ok().flatten();
    done.ok_or_else(|| AgentError::new("the server stopped while the agent was working"))
}

//! Threads for what agents compute or block on.
//!
//! They are not the runtime's own: however many agents hold one, name lookups and files find theirs, and neither a
//! drain nor the end of the process waits for them.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// Runs `work` on a thread of its own. The outcome comes through the receiver, an error there is a panic of `work`.
///
/// Nothing bounds the threads here: the caller gives something along that is bounded, and that is free again when
/// `work` is dropped.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn on_own_thread<T, F>(work: F) -> io::Result<oneshot::Receiver<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (done, outcome) = oneshot::channel();
    thread::Builder::new()
        .name("a2ad-agent".to_owned())
        .spawn(move || {
            // Nobody may wait any more; what the work did stands.
            let _ = done.send(work());
        })?;
    Ok(outcome)
}

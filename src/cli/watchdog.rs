//! Ends the process when it can't end itself.
//!
//! Draining takes threads and timers of the runtime. Agents that block without saying so can hold every one of these
//! threads, and then not even a signal is noticed. So one thread more, with a runtime of its own, listens as well.

use std::io::{self, Write as _};
use std::process;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// What the process gets beyond the time that a drain may take, to hand over what it holds.
const SPARE: Duration = Duration::from_secs(20);
/// What it gets after the second signal: many times what it needs on an idle machine.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Begins to watch over a process whose drain takes at most `drain`.
///
/// # Errors
/// When there is no thread, or no signal can be listened for.
pub fn start(drain: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (terminate, interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let watch = move || {
        runtime.block_on(too_late(terminate, interrupt, drain));
        // It ends even if nobody reads why.
        let _ = io::stderr().write_all(
            b"error: agents hold the threads that would have ended this process; it ends all the same\n",
        );
        process::exit(1);
    };
    thread::Builder::new()
        .name("a2ad-watchdog".to_owned())
        .spawn(watch)
        .map(|_| ())
}

/// Resolves when the process should have ended.
async fn too_late(mut terminate: Signal, mut interrupt: Signal, drain: Duration) {
    either(&mut terminate, &mut interrupt).await;
    let last = Instant::now() + drain + SPARE;
    tokio::select! {
        () = sleep_until(last) => {}
        () = either(&mut terminate, &mut interrupt) => sleep_until(last.min(Instant::now() + LAST_MOMENT)).await,
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

//! The end of a connection that one exchange has for itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Who holds this can end the connection of an exchange ([`EgressChannel::exchange_apart`](super::EgressChannel)), whatever
/// is still to be written on it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct HangUp(CancellationToken);

impl HangUp {
    /// Ends the connection: nothing more is written, and what is read has an end.
    pub fn now(&self) {
        self.0.cancel();
    }
}

/// What a connection hears of it.
#[derive(Debug)]
pub(super) struct HungUp(Pin<Box<WaitForCancellationFutureOwned>>);

impl HungUp {
    pub(super) fn of(hang_up: HangUp) -> Self {
        Self(Box::pin(hang_up.0.cancelled_owned()))
    }

    /// Whether the connection is to end; if not, the task is woken when it is.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.0.as_mut().poll(cx) == Poll::Ready(())
    }
}

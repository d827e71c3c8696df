//! Writes down what became of streams: whatever has gathered goes into one transaction, and is tried again while the
//! database is away, for as long as claims last.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::PushSettings;
use crate::repository::{Error, PushRepository, Settlement};

/// The pauses between attempts at a write that fails.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Takes settlements. Cheap to clone.
#[derive(Clone)]
pub(super) struct Settler(mpsc::Sender<Item>);

struct Item {
    settlement: Settlement,
    /// Whether the claim held.
    reply: oneshot::Sender<bool>,
}

impl Settler {
    /// The handle, and what writes until all handles are gone.
    pub(super) fn new(
        outbox: Arc<dyn PushRepository>,
        settings: &PushSettings,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        // Each stream has one settlement in here at most; more would be a queue that nobody needs.
        let (send, receive) = mpsc::channel(settings.requests_max.max(1));
        let writer = Writer {
            outbox,
            batch_max: settings.settle_batch_max,
            span: settings.claim,
        };
        (Self(send), writer.run(receive))
    }

    /// Writes a settlement; false when the claim did not hold any more, or could not be settled before it ran out.
    pub(super) async fn settle(&self, settlement: Settlement) -> bool {
        let (reply, written) = oneshot::channel();
        self.0.send(Item { settlement, reply }).await.is_ok() && written.await.unwrap_or(false)
    }
}

struct Writer {
    outbox: Arc<dyn PushRepository>,
    batch_max: usize,
    span: Duration,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Item>) {
        let mut items = Vec::new();
        while queue.recv_many(&mut items, self.batch_max).await > 0 {
            let (settlements, replies): (Vec<_>, Vec<_>) =
                items.drain(..).map(|item| (item.settlement, item.reply)).unzip();
            let held = self.write(&settlements).await;
            for (reply, held) in replies.into_iter().zip(held) {
                // Whoever was stopped has no use for it.
                let _ = reply.send(held);
            }
        }
    }

    async fn write(&self, settlements: &[Settlement]) -> Vec<bool> {
        let (deadline, mut pause) = (Instant::now() + self.span, PAUSE);
        loop {
            match self.outbox.settle(settlements).await {
                Ok(held) => return held,
                Err(error @ Error::Unavailable(_)) if Instant::now() + pause < deadline => {
                    tracing::debug!(%error, "push notifications can't be settled; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => {
                    tracing::warn!(%error, count = settlements.len(), "push notifications could not be settled; they may be delivered twice");
                    return vec![false; settlements.len()];
                }
            }
        }
    }
}

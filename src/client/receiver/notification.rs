//! What came, and that it was taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::{DeliveryStore, StoreError};
use crate::pb::StreamResponse;
use crate::pb::stream_response::Payload;

/// An event of a task. Its sender waits until it is accepted or dropped.
pub struct Notification {
    /// The id of the delivery, the same whenever it is repeated. Unsigned requests may have none.
    pub delivery_id: Option<Arc<str>>,
    /// The path and the query that it was sent to, by which several webhooks are told apart: those that the signature
    /// covers. With [`Target::url`](super::Target::url) they are those of that URL, whatever the request came by.
    pub path: String,
    /// The key that signed it (`kid`); `None` for an unsigned one.
    pub signed_by: Option<String>,
    /// The event.
    pub event: StreamResponse,
    /// By which the store knows it.
    pub(super) known_as: Option<Arc<str>>,
    pub(super) store: Arc<dyn DeliveryStore>,
    pub(super) taken: Option<oneshot::Sender<()>>,
}

impl Notification {
    /// The task that it is about, if it says so; a direct message belongs to none.
    pub fn task_id(&self) -> Option<&str> {
        let id = match self.event.payload.as_ref()? {
            Payload::Task(task) => &task.id,
            Payload::Message(message) => &message.task_id,
            Payload::StatusUpdate(update) => &update.task_id,
            Payload::ArtifactUpdate(update) => &update.task_id,
        };
        (!id.is_empty()).then_some(id.as_str())
    }

    /// Takes it: records the delivery, and lets the sender know. True when it is new. False when it was accepted already,
    /// which happens where the sender repeated it while the first one still waited: then there is nothing to do.
    ///
    /// What is done before must be harmless when it is done twice; what is done after is lost with the process. A
    /// [`DeliveryStore`] in the database of the consumer is the way to neither.
    ///
    /// # Errors
    /// When the store does not record it: it comes again.
    pub async fn accept(&mut self) -> Result<bool, StoreError> {
        let is_new = match &self.known_as {
            Some(id) => self.store.record(id).await?,
            None => true,
        };
        if let Some(taken) = self.taken.take() {
            // Who waited for too long comes again, and is told that it is known.
            let _ = taken.send(());
        }
        Ok(is_new)
    }
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notification")
            .field("delivery_id", &self.delivery_id)
            .field("path", &self.path)
            .field("signed_by", &self.signed_by)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// The notifications in the order in which they came. Once it is dropped, requests are answered with 503.
#[derive(Debug)]
pub struct Notifications(pub(super) mpsc::Receiver<Notification>);

impl Stream for Notifications {
    type Item = Notification;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Notification>> {
        self.0.poll_recv(cx)
    }
}

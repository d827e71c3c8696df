//! Streams of events.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _};

use super::Error;
use crate::pb::StreamResponse;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub response: StreamResponse,
    /// Its number in the task's log, from which a stream can go on; `None` from agents that don't say that they number their
    /// events: by a header of their own on gRPC, and by their card, which the target must have, on the JSON bindings, where
    /// others use the ids of events as they like.
    pub generation: Option<u64>,
}

/// The events of a task as they happen. It ends when the agent ends it; an error is the last item.
pub struct EventStream(Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>);

impl EventStream {
    /// A stream out of any other.
    pub fn new(events: impl Stream<Item = Result<Event, Error>> + Send + 'static) -> Self {
        Self(Box::pin(events))
    }

    /// What happens next; `None` at the end.
    ///
    /// # Errors
    /// What breaks the stream off; it is over then.
    pub async fn message(&mut self) -> Result<Option<StreamResponse>, Error> {
        let event = self.next().await.transpose()?;
        Ok(event.map(|event| event.response))
    }
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EventStream")
    }
}

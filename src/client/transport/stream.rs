//! The events of a stream that comes as server-sent events.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::errors;
use super::sse::{Decoder, SseEvent};
use crate::client::settings::ClientSettings;
use crate::client::wire::Inbound;
use crate::client::{Error, Event, Target};
use crate::pb::StreamResponse;
use crate::service::RESUME_EXTENSION;

/// Names of events that readers of messages see, or that carry the error at the end.
const NAMES: [&str; 3] = ["", "message", ERROR];

/// The name of the event with which a stream ends that fails.
pub(super) const ERROR: &str = "error";

/// Reads a body event by event.
pub(super) struct Events<F> {
    body: Inbound,
    decoder: Decoder,
    /// What has come and is not read yet.
    chunk: Bytes,
    parse: F,
    origin: String,
    idle_timeout: Duration,
    event_bytes_max: usize,
    is_numbered: bool,
}

impl<F> Events<F>
where
    F: Fn(&SseEvent) -> Result<Option<StreamResponse>, Error> + Send + 'static,
{
    /// The events of `body`, which `parse` reads. Only of an agent that says so their ids are generations: others
    /// number as they like, each stream anew for instance.
    pub(super) fn new(body: Inbound, target: &Target, settings: &ClientSettings, parse: F) -> Self {
        Self {
            body,
            decoder: Decoder::new(settings.event_bytes_max),
            chunk: Bytes::new(),
            parse,
            origin: target.origin(),
            is_numbered: target.declares(RESUME_EXTENSION),
            idle_timeout: settings.idle_timeout,
            event_bytes_max: settings.event_bytes_max,
        }
    }

    /// One event after the other; nothing is read ahead. The connection is let go with the last one.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Event, Error>> + Send {
        stream::unfold(Some(self), |events| async {
            let mut events = events?;
            match events.next().await {
                Ok(Some(event)) => Some((Ok(event), Some(events))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let decoded = self.decoder.decode(&mut self.chunk);
            let found = decoded.map_err(|_| Error::TooLarge {
                what: "an event",
                limit: self.event_bytes_max,
            })?;
            match found {
                Some(event) => {
                    if let Some(event) = self.event(&event)? {
                        return Ok(Some(event));
                    }
                }
                None if self.more().await? => {}
                None if self.decoder.is_between() => return Ok(None),
                None => return Err(self.interrupted("the stream ended inside an event".to_owned())),
            }
        }
    }

    fn event(&self, event: &SseEvent) -> Result<Option<Event>, Error> {
        let is_known = NAMES.contains(&event.name.as_str());
        let response = match (self.parse)(event) {
            Ok(Some(response)) => response,
            // What came into the protocol after this client is not for it.
            Ok(None) => return Ok(None),
            // Names are the agents' own; what is under one and not of the protocol is not for us.
            Err(Error::Malformed(_)) if !is_known => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Event {
            response,
            generation: event
                .id
                .as_deref()
                .filter(|_| self.is_numbered)
                .and_then(|id| id.parse().ok()),
        }))
    }

    /// Waits for more bytes; false at the end.
    async fn more(&mut self) -> Result<bool, Error> {
        let silent = self.idle_timeout;
        match timeout(silent, self.bytes()).await {
            Ok(bytes) => bytes,
            Err(_) => Err(self.interrupted(format!("the stream was silent for {silent:?}"))),
        }
    }

    async fn bytes(&mut self) -> Result<bool, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| errors::broken(&self.origin, &error))?;
            // Frames without bytes are no sign of life.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                self.chunk = data;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn interrupted(&self, cause: String) -> Error {
        Error::Interrupted {
            address: self.origin.clone(),
            cause,
        }
    }
}

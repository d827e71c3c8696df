//! One request: looked at from its head to its body, handed over, answered.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Response, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::answer::{Refusal, answer};
use super::credential::Expected;
use super::keys::{KeyCache, UnderWay};
use super::{DeliveryStore, Notification, ReceiverSettings, Target};
use crate::clock::Clock;
use crate::pb::{StreamResponse, json};
use crate::signature::message::{self, DELIVERY_ID, Incoming, SIGNATURE, SIGNATURE_INPUT, Verified, Window};

/// What bodies of webhooks are (specification 4.3.3), and what older senders call it.
const MEDIA_TYPES: [&str; 2] = ["application/a2a+json", "application/json"];

/// What is before the ids of unsigned requests where they are remembered: whoever makes one up must not take that of a
/// signed one.
const UNSIGNED: &str = "unsigned:";

/// All that requests are judged by.
pub(super) struct Desk {
    pub(super) target: Target,
    pub(super) keys: Option<KeyCache>,
    pub(super) takes_unsigned: bool,
    pub(super) expected: Expected,
    pub(super) store: Arc<dyn DeliveryStore>,
    pub(super) settings: ReceiverSettings,
    pub(super) clock: Clock,
    pub(super) places: Semaphore,
    pub(super) queue: mpsc::Sender<Notification>,
}

pub(super) async fn receive(
    State(desk): State<Arc<Desk>>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response<Body> {
    let outcome = match desk.places.try_acquire() {
        Ok(_place) => desk.take(&uri, request).await,
        Err(_) => Err(Refusal::Busy),
    };
    answer(outcome, desk.settings.retry_after)
}

impl Desk {
    /// Everything that a stranger could get wrong is found out before the body is read.
    async fn take(&self, uri: &Uri, request: Request) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        if !is_json(&head.headers) {
            return Err(Refusal::MediaType);
        }
        if !self.expected.are_shown(&head.headers) {
            tracing::debug!("a webhook without the right token or credential");
            return Err(Refusal::Credentials);
        }
        let verified = self.verified(uri, &head).await?;
        let body = self.read(body).await?;
        if verified.as_ref().is_some_and(|verified| !verified.is_of(&body)) {
            tracing::debug!("a webhook whose body is not the one that was signed");
            return Err(Refusal::Credentials);
        }
        let event: StreamResponse = json::from_slice(&body)
            .map_err(|error| Refusal::Body(format!("the body is no event: {error}")))?;
        if event.payload.is_none() {
            return Err(Refusal::Body(
                "the body is no event: it has no payload".to_owned(),
            ));
        }
        let delivery_id: Option<Arc<str>> = match &verified {
            Some(verified) => Some(Arc::from(verified.delivery_id.as_str())),
            None => unsigned_id(&head.headers)?,
        };
        let known_as = delivery_id.clone().map(|id| match &verified {
            Some(_) => id,
            None => format!("{UNSIGNED}{id}").into(),
        });
        let notification = Notification {
            delivery_id,
            known_as,
            path: self.target.path_of(uri),
            signed_by: verified.map(|verified| verified.kid),
            event,
            store: self.store.clone(),
            taken: None,
        };
        self.hand_over(notification).await
    }

    /// The signature, if it is good; `None` for a request without one where these are taken.
    async fn verified(&self, uri: &Uri, head: &Parts) -> Result<Option<Verified>, Refusal> {
        let names = [SIGNATURE, SIGNATURE_INPUT];
        let is_signed = names.iter().any(|name| head.headers.contains_key(*name));
        let Some(cache) = self.keys.as_ref().filter(|_| is_signed || !self.takes_unsigned) else {
            return Ok(None);
        };
        let target = self.target.of(uri);
        let incoming = Incoming {
            method: &head.method,
            target: &target,
            headers: &head.headers,
        };
        let keys = cache.current().await.ok_or(Refusal::Busy)?;
        let mut outcome = message::verify(&incoming, &keys, &self.window());
        if matches!(outcome, Err(message::Refusal::UnknownKey(_)))
            && let Some(newer) = cache.newer_than(&keys).await.map_err(|UnderWay| Refusal::Busy)?
        {
            outcome = message::verify(&incoming, &newer, &self.window());
        }
        outcome.map(Some).map_err(|why| {
            tracing::debug!(%why, "a webhook that is not signed as it should be");
            Refusal::Credentials
        })
    }

    fn window(&self) -> Window {
        Window {
            now: self.clock.now_ms().div_euclid(1_000),
            age_max: self.settings.age_max,
            leeway: self.settings.leeway,
        }
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let whole = Limited::new(body, self.settings.body_bytes_max).collect();
        match timeout(self.settings.body_timeout, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::Body("the body ends too early".to_owned())),
            Err(_) => Err(Refusal::Slow),
        }
    }

    /// Waits until it is accepted, or was before.
    async fn hand_over(&self, mut notification: Notification) -> Result<(), Refusal> {
        if let Some(id) = &notification.known_as {
            match self.store.is_known(id).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "a webhook has to come again");
                    return Err(Refusal::Busy);
                }
            }
        }
        let (taken, is_taken) = oneshot::channel();
        notification.taken = Some(taken);
        let accepted = async {
            self.queue.reserve().await.ok()?.send(notification);
            is_taken.await.ok()
        };
        match timeout(self.settings.accept_timeout, accepted).await {
            Ok(Some(())) => Ok(()),
            // Nobody took it in time, or it was dropped.
            _ => Err(Refusal::Busy),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next()).unwrap_or_default();
    MEDIA_TYPES
        .iter()
        .any(|known| essence.trim().eq_ignore_ascii_case(known))
}

/// The id that an unsigned request says that it has.
fn unsigned_id(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refusal> {
    let Some(value) = headers.get(DELIVERY_ID) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > message::DELIVERY_ID_BYTES_MAX {
        return Err(Refusal::Body(format!("{DELIVERY_ID} is no id of a delivery")));
    }
    Ok(Some(text.into()))
}

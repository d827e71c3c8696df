//! What both JSON bindings do by HTTP: one request, and its answer within limits of size and time.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Either};
use tokio::time::timeout;

use super::sse::SseEvent;
use super::stream::Events;
use super::{errors, message};
use crate::access::Method;
use crate::client::connections::{Connections, RequestBody};
use crate::client::settings::ClientSettings;
use crate::client::upload::{Limits, Pace, Sending, Text};
use crate::client::wire::{Inbound, Line};
use crate::client::{Answer, Error, EventStream, Reply, Target};
use crate::config::Secret;
use crate::pb::StreamResponse;

/// The generation behind which a stream is to begin.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The version of the protocol that a call is in (specification 3.6).
const VERSION: HeaderName = HeaderName::from_static("a2a-version");

/// What streams come as.
const EVENT_STREAM: &str = "text/event-stream";

/// How answers stand in their binding's envelope.
pub(super) trait Envelope: Clone + Send + Sync + 'static {
    /// The message in an answer of this status.
    ///
    /// # Errors
    /// The agent's error, or that the envelope is not one.
    fn open<'a>(&self, head: &Parts, body: &'a [u8]) -> Result<&'a [u8], Error>;

    /// The message in an event of a stream with this head; `None` if nothing that is known here has happened.
    ///
    /// # Errors
    /// As for [`Envelope::open`]; an event by the name of `error` is one, unless it is known here.
    fn open_event(&self, head: &Parts, event: &SseEvent) -> Result<Option<StreamResponse>, Error>;
}

/// What a binding makes of a call.
pub(super) struct Outgoing {
    pub(super) verb: Verb,
    pub(super) uri: Uri,
    /// The service parameters of the call.
    pub(super) headers: HeaderMap,
    /// The body, and what it is.
    pub(super) body: Option<(Text, &'static str)>,
    /// What uploads in the body tell that they go out.
    pub(super) pace: Pace,
    /// What the answer may come as.
    pub(super) accept: &'static str,
}

/// Exchanges with one agent.
#[derive(Clone)]
pub(super) struct Http {
    channel: Line<RequestBody>,
    target: Arc<Target>,
    settings: Arc<ClientSettings>,
}

impl Http {
    pub(super) fn new(target: &Target, connections: &Connections, settings: &ClientSettings) -> Self {
        Self {
            channel: connections.http.clone(),
            target: Arc::new(target.clone()),
            settings: Arc::new(settings.clone()),
        }
    }

    /// The URL of the agent's interface.
    pub(super) fn url(&self) -> &Uri {
        &self.target.url
    }

    /// Makes a call.
    ///
    /// # Errors
    /// See [`Error`].
    pub(super) async fn perform(
        &self,
        method: Method,
        outgoing: Outgoing,
        envelope: impl Envelope,
    ) -> Result<Reply, Error> {
        let limit = self.settings.timeout;
        let accept = outgoing.accept;
        let (request, sending) = self.request(outgoing);
        let exchange = self.exchange(method, request, accept, envelope);
        match sending {
            Some(mut sending) => {
                let answered = sending.answered(exchange).await;
                answered.map(|reply| sending.keep(reply))
            }
            None => timeout(limit, exchange)
                .await
                .unwrap_or(Err(Error::Timeout(limit))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        request: http::Request<RequestBody>,
        accept: &'static str,
        envelope: impl Envelope,
    ) -> Result<Reply, Error> {
        let (head, body) = self.head(request).await?;
        if method.is_streaming()
            && head.status.is_success()
            && is_media(&head.headers, |kind| kind == EVENT_STREAM)
        {
            return Ok(self.stream(head, body, envelope));
        }
        if head.status.is_success() && !is_media(&head.headers, is_json) {
            let found = shown(&head.headers, &CONTENT_TYPE);
            return Err(Error::Malformed(format!("its type is {found}, not {accept}")));
        }
        let limit = match head.status.is_success() {
            true => self.settings.answer_bytes_max,
            false => errors::BYTES_MAX.min(self.settings.answer_bytes_max),
        };
        let body = match self.whole(body, limit).await {
            // What is wrong is in the status already.
            Err(_) if !head.status.is_success() => Bytes::new(),
            other => other?,
        };
        let json = envelope.open(&head, &body)?;
        Ok(Reply {
            answer: message::read(method, json)?,
            parameters: head.headers,
        })
    }

    fn stream(&self, head: Parts, body: Inbound, envelope: impl Envelope) -> Reply {
        let parameters = head.headers.clone();
        let events = Events::new(body, &self.target, &self.settings, move |event: &SseEvent| {
            envelope.open_event(&head, event)
        });
        Reply {
            answer: Answer::Events(EventStream::new(events.into_stream())),
            parameters,
        }
    }

    /// The request, and who watches it go out if it has uploads.
    fn request(&self, outgoing: Outgoing) -> (http::Request<RequestBody>, Option<Sending>) {
        let mut sending = None;
        let mut request = http::Request::new(RequestBody::Left(Default::default()));
        *request.method_mut() = outgoing.verb;
        *request.uri_mut() = outgoing.uri;
        let mut headers = outgoing.headers;
        // An encoding is not asked for: what comes has the size that it seems to have.
        headers.remove(http::header::ACCEPT_ENCODING);
        headers.insert(ACCEPT, HeaderValue::from_static(outgoing.accept));
        if let Ok(version) = HeaderValue::from_str(&self.target.version) {
            headers.insert(VERSION, version);
        }
        headers.remove(CONTENT_TYPE);
        if let Some((text, kind)) = outgoing.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            *request.body_mut() = match text {
                Text::Whole(text) => Either::Left(Bytes::from(text).into()),
                Text::Pieces(segments) => {
                    let (body, watched) = segments.body(&outgoing.pace, self.limits());
                    request.extensions_mut().insert(watched.hang_up());
                    sending = Some(watched);
                    Either::Right(body)
                }
            };
        }
        *request.headers_mut() = headers;
        (request, sending)
    }

    fn limits(&self) -> Limits {
        Limits {
            idle: self.settings.upload_idle_timeout,
            answer: self.settings.timeout,
        }
    }

    /// Sends a request for the head of its answer.
    async fn head(&self, request: http::Request<RequestBody>) -> Result<(Parts, Inbound), Error> {
        let response = self.channel.exchange(request).await;
        let response = response.map_err(|error| errors::of_egress(&self.target.origin(), &error))?;
        let (head, body) = response.into_parts();
        if let Some(redirect) = redirect(&head) {
            return Err(Error::Malformed(redirect));
        }
        match head.headers.get(CONTENT_ENCODING) {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
                let found = shown(&head.headers, &CONTENT_ENCODING);
                Err(Error::Malformed(format!(
                    "it is encoded as {found}, which this client has not asked for"
                )))
            }
            _ => Ok((head, body)),
        }
    }

    /// Reads a body to its end.
    async fn whole(&self, mut body: Inbound, limit: usize) -> Result<Bytes, Error> {
        let too_large = || Error::TooLarge {
            what: "the answer",
            limit,
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let mut first = Bytes::new();
        let mut joined = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| errors::broken(&self.target.origin(), &error))?;
            let Ok(data) = frame.into_data() else { continue };
            if first.len().max(joined.len()) + data.len() > limit {
                return Err(too_large());
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&data);
        }
        Ok(if joined.is_empty() { first } else { joined.into() })
    }
}

/// A URL with this path, and more in its query.
///
/// # Errors
/// [`Error::Unsendable`] when there is no such URL.
pub(super) fn uri(
    base: &Uri,
    path: &str,
    fields: &[(String, String)],
    secrets: &[(String, Secret<String>)],
) -> Result<Uri, Error> {
    let mut text = path.to_owned();
    let mut mark = '?';
    if let Some(query) = base.query().filter(|query| !query.is_empty()) {
        text.push(mark);
        text.push_str(query);
        mark = '&';
    }
    let secrets = secrets.iter().map(|(name, value)| (name, value.expose()));
    for (name, value) in fields.iter().map(|(name, value)| (name, value)).chain(secrets) {
        text.push(mark);
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
        mark = '&';
    }
    let mut parts = base.clone().into_parts();
    // What is wrong with it is not told: a credential may stand in it.
    let wrong = || Error::Unsendable("its URL is not one; it may be too long".to_owned());
    parts.path_and_query = Some(text.parse().map_err(|_| wrong())?);
    Uri::from_parts(parts).map_err(|_| wrong())
}

/// Writes text so that nothing in it has a meaning in a path or a query (RFC 3986, section 2.3).
pub(super) fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Whether the type of an answer is such a one; an answer that doesn't say is taken for what it should be.
fn is_media(headers: &HeaderMap, is: impl Fn(&str) -> bool) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return is("application/json");
    };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    is(&essence.to_ascii_lowercase())
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// What is to be said about a redirect.
pub(super) fn redirect(head: &Parts) -> Option<String> {
    if !head.status.is_redirection() {
        return None;
    }
    let place = match head.headers.contains_key(LOCATION) {
        true => format!(" to {}", shown(&head.headers, &LOCATION)),
        false => String::new(),
    };
    Some(format!(
        "it redirects{place} (status {}); redirects are not followed: the card or the address has to name the right URL",
        head.status.as_u16()
    ))
}

/// A header of a stranger, for people.
pub(super) fn shown(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    format!("{:?}", errors::brief(&String::from_utf8_lossy(value)))
}

//! The body of a stream: events as they come, a comment when none does, and at the end one error or nothing.
//!
//! The `id:` of an event is its generation, and a reader that comes back with the last one in `Last-Event-ID` gets what
//! came after it. When retention has removed that, the response says so in the header `a2ad-cursor-expired: FIRST` and
//! in a first event, `event: cursor-expired` with `data: {"firstGeneration":FIRST}`; then comes the task as it stands
//! and what follows it. Both are said only to a reader that has named a cursor.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use super::{envelope, render, sse};
use crate::api::{Body, call};
use crate::error::Error;
use crate::fault;
use crate::pb::{self, StreamResponse};
use crate::task::TaskEvent;

/// Events that are ready together go out in one chunk, until it has this many bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// From here on the JSON of an event is sent from the buffer that all its streams share.
const SHARED_BYTES_MIN: usize = 4 << 10;

/// nginx and its like hold answers back to fill a buffer, unless told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Which envelope the events of a stream are in.
#[derive(Clone, Debug)]
pub(super) enum Envelope {
    /// None: the binding is HTTP+JSON.
    Plain,
    /// JSON-RPC responses to the request of this id, which is JSON text.
    JsonRpc(Box<str>),
}

/// A response that streams `events`; `expired` is the first generation that is kept, when the reader's cursor lies before
/// it.
pub(super) fn answer<S>(
    events: S,
    envelope: Envelope,
    request_id: Arc<str>,
    keepalive: Duration,
    expired: Option<u64>,
) -> Response<Body>
where
    S: Stream<Item = Result<Arc<TaskEvent>, Error>> + Send + Unpin + 'static,
{
    let body = SseBody {
        events: Some(events),
        envelope,
        request_id,
        keepalive,
        quiet: Box::pin(sleep(keepalive)),
        ready: expired
            .map(|first| Bytes::from(sse::cursor_expired(first)))
            .into_iter()
            .collect(),
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if let Some(first) = expired {
        headers.insert(call::CURSOR_EXPIRED, HeaderValue::from(first));
    }
    response
}

struct SseBody<S> {
    /// None once the stream has ended; what it holds is let go then, not when the connection closes.
    events: Option<S>,
    envelope: Envelope,
    request_id: Arc<str>,
    keepalive: Duration,
    quiet: Pin<Box<Sleep>>,
    ready: VecDeque<Bytes>,
}

impl<S> http_body::Body for SseBody<S>
where
    S: Stream<Item = Result<Arc<TaskEvent>, Error>> + Unpin,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if body.ready.is_empty() {
            body.collect(cx);
        }
        if let Some(chunk) = body.ready.pop_front() {
            fault::point("mid_stream_frame");
            body.rest();
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if body.events.is_none() {
            return Poll::Ready(None);
        }
        match body.quiet.as_mut().poll(cx) {
            Poll::Ready(()) => {
                body.rest();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(sse::KEEP_ALIVE)))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.events.is_none() && self.ready.is_empty()
    }
}

impl<S> SseBody<S>
where
    S: Stream<Item = Result<Arc<TaskEvent>, Error>> + Unpin,
{
    /// Begins a new time of quiet.
    fn rest(&mut self) {
        self.quiet.as_mut().reset(Instant::now() + self.keepalive);
    }

    /// Makes chunks of what is there now, without waiting.
    fn collect(&mut self, cx: &mut Context<'_>) {
        let mut out = Vec::new();
        while self.ready.is_empty() && out.len() < CHUNK_BYTES {
            let Some(events) = &mut self.events else { break };
            match Pin::new(events).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.events = None,
                Poll::Ready(Some(Ok(event))) => match json_of(&event) {
                    Ok(json) => self.write(&mut out, event.generation, json),
                    Err(error) => self.fail(&mut out, &error),
                },
                Poll::Ready(Some(Err(error))) => self.fail(&mut out, &error),
            }
        }
        if !out.is_empty() {
            self.ready.push_back(Bytes::from(out));
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, generation: u64, json: &Bytes) {
        sse::begin(out, generation);
        if let Envelope::JsonRpc(id) = &self.envelope {
            envelope::begin_result(out, id);
        }
        if json.len() >= SHARED_BYTES_MIN && sse::is_one_line(json) {
            self.ready.push_back(Bytes::from(std::mem::take(out)));
            self.ready.push_back(json.clone());
        } else {
            sse::data(out, json);
        }
        if let Envelope::JsonRpc(_) = &self.envelope {
            out.extend_from_slice(envelope::END);
        }
        out.extend_from_slice(sse::END);
    }

    /// Ends the stream with an error. It has no event name of its own: readers that only know messages see it too.
    fn fail(&mut self, out: &mut Vec<u8>, error: &Error) {
        self.events = None;
        let object = match &self.envelope {
            Envelope::Plain => render::http_json_object(error, &self.request_id),
            Envelope::JsonRpc(id) => render::json_rpc_object(error, id, &self.request_id),
        };
        sse::begin(out, 0);
        sse::data(out, &object);
        out.extend_from_slice(sse::END);
    }
}

/// The JSON form of an event, made once for all its streams.
fn json_of(event: &TaskEvent) -> Result<&Bytes, Error> {
    // Nothing has an empty form in JSON, so that empty can stand for a form that could not be made.
    let json = event.json(|event| {
        let response = event.decode().map(|payload| StreamResponse {
            payload: Some(payload),
        });
        let text = response
            .ok()
            .and_then(|response| pb::json::to_vec(&response).ok());
        text.map_or_else(Bytes::new, Bytes::from)
    });
    if json.is_empty() {
        let generation = event.generation;
        return Err(Error::internal(&format_args!(
            "event {generation} of a task has no JSON form"
        )));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::pb::stream_response::Payload;
    use crate::pb::{Message, Role};

    fn event(generation: u64, id: &str) -> Arc<TaskEvent> {
        let message = Message {
            message_id: id.to_owned(),
            role: Role::Agent.into(),
            ..Message::default()
        };
        Arc::new(TaskEvent::encode(generation, &Payload::Message(message)))
    }

    async fn text(events: Vec<Result<Arc<TaskEvent>, Error>>, envelope: Envelope) -> String {
        let second = Duration::from_secs(1);
        let response = answer(stream::iter(events), envelope, Arc::from("r"), second, None);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn events_go_out_in_their_envelope() {
        let json = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[]}}"#;
        let events = || vec![Ok(event(0, "m")), Ok(event(3, "m"))];
        assert_eq!(
            text(events(), Envelope::Plain).await,
            format!("data: {json}\n\nid: 3\ndata: {json}\n\n")
        );
        let wrapped = format!(r#"{{"jsonrpc":"2.0","id":"x","result":{json}}}"#);
        assert_eq!(
            text(events(), Envelope::JsonRpc(r#""x""#.into())).await,
            format!("data: {wrapped}\n\nid: 3\ndata: {wrapped}\n\n")
        );
    }

    #[tokio::test]
    async fn a_large_event_is_sent_from_the_shared_buffer() {
        let large = event(5, &"m".repeat(SHARED_BYTES_MIN));
        let events = stream::iter([Ok(large.clone()), Ok(event(6, "n"))]);
        let response = answer(
            events,
            Envelope::Plain,
            Arc::from("r"),
            Duration::from_secs(1),
            None,
        );
        let mut body = response.into_body();
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            chunks.push(frame.unwrap().into_data().unwrap());
        }
        let shared = json_of(&large).unwrap();
        assert_eq!(chunks[0], "id: 5\ndata: ");
        assert_eq!(chunks[1].as_ptr(), shared.as_ptr());
        assert_eq!(&chunks[2][..2], sse::END);
    }

    #[tokio::test]
    async fn an_error_is_the_last_event() {
        let events = || {
            vec![
                Ok(event(1, "m")),
                Err(Error::unavailable("over")),
                Ok(event(2, "m")),
            ]
        };
        let plain = text(events(), Envelope::Plain).await;
        assert!(plain.contains("\n\ndata: {\"error\":{\"code\":503,"), "{plain}");
        assert!(!plain.contains("id: 2"), "{plain}");
        let wrapped = text(events(), Envelope::JsonRpc("1".into())).await;
        assert!(
            wrapped.contains("\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,"),
            "{wrapped}"
        );
        let damaged = TaskEvent::new(9, Bytes::from_static(b"\xff"), None, None);
        assert!(
            text(vec![Ok(Arc::new(damaged))], Envelope::Plain)
                .await
                .contains("\"reason\":\"INTERNAL\"")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_streams_get_a_comment_now_and_then() {
        let events = stream::iter([Ok(event(1, "m"))]).chain(stream::pending());
        let response = answer(
            events,
            Envelope::Plain,
            Arc::from("r"),
            Duration::from_secs(15),
            None,
        );
        let mut body = response.into_body();
        let start = Instant::now();
        let mut chunks = Vec::new();
        for _ in 0..3 {
            chunks.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(chunks[1..], [sse::KEEP_ALIVE, sse::KEEP_ALIVE]);
        assert_eq!(start.elapsed().as_secs(), 30);
    }
}

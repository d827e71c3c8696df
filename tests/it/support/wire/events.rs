//! A stream of any binding, read one event at a time: (generation, event).

use a2ad::pb::StreamResponse;
use a2ad::pb::stream_response::Payload;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tonic::Streaming;

use super::{Reply, Wire, WireError, parsed};
use crate::sockets::soon;

enum Source {
    Grpc {
        events: Streaming<StreamResponse>,
        generation: u64,
    },
    Sse {
        wire: Wire,
        body: Incoming,
        text: String,
        headers: HeaderMap,
    },
}

/// A reader of one stream.
pub struct EventReader {
    source: Source,
    pub headers: HeaderMap,
}

impl EventReader {
    pub fn grpc(response: tonic::Response<Streaming<StreamResponse>>) -> Self {
        let (metadata, events, _) = response.into_parts();
        let headers = metadata.into_headers();
        let first = headers
            .get("a2ad-first-generation")
            .map(|value| value.to_str().unwrap().parse().unwrap());
        // Without one the stream is a direct message, which has no generation.
        let generation = first.unwrap_or_default();
        Self {
            source: Source::Grpc { events, generation },
            headers,
        }
    }

    /// A stream that can't start is a plain error.
    pub async fn sse(wire: Wire, response: Response<Incoming>) -> Result<Self, WireError> {
        let is_stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        if !is_stream {
            let reply = Reply::read(response).await;
            return match reply.clone().result(wire) {
                Err(error) => Err(error),
                Ok(_) => panic!("neither a stream nor an error: {reply:?}"),
            };
        }
        assert_eq!(response.status(), 200);
        let (head, body) = response.into_parts();
        let source = Source::Sse {
            wire,
            body,
            text: String::new(),
            headers: head.headers.clone(),
        };
        Ok(Self {
            source,
            headers: head.headers,
        })
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<(u64, Payload), WireError>> {
        let next = soon("the next event", async {
            match &mut self.source {
                Source::Grpc { events, generation } => next_grpc(events, generation).await,
                Source::Sse {
                    wire,
                    body,
                    text,
                    headers,
                } => next_sse(*wire, body, text, headers).await,
            }
        });
        next.await
    }

    /// The next event, which has to be there.
    pub async fn event(&mut self) -> (u64, Payload) {
        self.next().await.expect("one more event").expect("no error")
    }

    /// All events up to the end, which has to be a good one.
    pub async fn all(mut self) -> Vec<(u64, Payload)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event.unwrap());
        }
        events
    }
}

async fn next_grpc(
    events: &mut Streaming<StreamResponse>,
    generation: &mut u64,
) -> Option<Result<(u64, Payload), WireError>> {
    match events.message().await {
        Ok(Some(event)) => {
            let at = *generation;
            *generation += u64::from(at > 0);
            Some(Ok((at, event.payload.expect("an event has a payload"))))
        }
        Ok(None) => None,
        Err(status) => Some(Err(WireError::from_status(status))),
    }
}

async fn next_sse(
    wire: Wire,
    body: &mut Incoming,
    text: &mut String,
    headers: &HeaderMap,
) -> Option<Result<(u64, Payload), WireError>> {
    loop {
        if let Some((event, rest)) = text.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *text = rest;
            match event_of(&event) {
                Some((id, data)) => return Some(decoded(wire, headers, id, &data)),
                None => continue,
            }
        }
        let Some(frame) = body.frame().await else {
            assert_eq!(text, "", "the stream ended inside an event");
            return None;
        };
        let data = frame
            .expect("the stream does not break off")
            .into_data()
            .expect("no trailers");
        text.push_str(std::str::from_utf8(&data).expect("events are cut at characters"));
    }
}

/// The id and data of an event; nothing for a comment and for an event that is no message.
fn event_of(text: &str) -> Option<(u64, String)> {
    let (mut id, mut data) = (0, None);
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", _)) => return None,
            Some(("id", value)) => id = value.parse().unwrap(),
            Some(("data", value)) => {
                assert_eq!(data.replace(value.to_owned()), None, "one data line: {text}")
            }
            _ => assert!(line.starts_with(':'), "{line}"),
        }
    }
    data.map(|data| (id, data))
}

fn decoded(wire: Wire, headers: &HeaderMap, id: u64, data: &str) -> Result<(u64, Payload), WireError> {
    let json: Value = serde_json::from_str(data).unwrap();
    if let Some(error) = json.get("error") {
        return Err(WireError::from_json(wire, 200, headers.clone(), error));
    }
    let event: StreamResponse = match wire {
        Wire::JsonRpc => parsed(json["result"].to_string().as_bytes()),
        _ => parsed(data.as_bytes()),
    };
    Ok((id, event.payload.expect("an event has a payload")))
}

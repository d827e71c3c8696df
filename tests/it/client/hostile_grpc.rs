//! Servers that mean harm, on gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use a2ad::client::{Error, EventStream, PushAdminClient};
use a2ad::context::Binding;
use a2ad::pb::admin::ListDeliveriesRequest;
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{Message, StreamResponse};
use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use prost::Message as _;

use super::harness::client_of;
use super::hostile::{BUFFERS_BYTES, strict};
use super::raw_host::{self, RawHost};
use super::script::Script;
use super::site::{Site, answer};
use crate::sockets::soon;
use crate::support::messages::{get, send};

/// A message in its frame, whose length may be a lie.
fn frame(flag: u8, length: u32, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

async fn answered(body: Bytes) -> (Error, Error) {
    let script = Script::saying(200, &[("content-type", "application/grpc")], body).await;
    let client = client_of(&script.url(), Binding::Grpc, "", &strict()).await;
    let unary = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    let stream = client.send_streaming(send("", "m", "x")).await.unwrap();
    (unary, last(stream).await)
}

async fn last(mut events: EventStream) -> Error {
    loop {
        match soon("an event", events.next())
            .await
            .expect("an error at the end")
        {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn frames_that_lie_are_errors() {
    let (unary, stream) = answered(frame(0, 1_000_000_000, b"x")).await;
    assert!(
        matches!(
            unary,
            Error::TooLarge {
                what: "the answer",
                limit: 65_536
            }
        ),
        "{unary:?}"
    );
    assert!(
        matches!(
            stream,
            Error::TooLarge {
                what: "an event",
                limit: 16_384
            }
        ),
        "{stream:?}"
    );
    for (what, body) in [
        ("it ends before its length", frame(0, 100, b"x")),
        ("without a status", frame(0, 0, b"")),
        ("nothing", Bytes::new()),
    ] {
        let (unary, stream) = answered(body).await;
        assert!(matches!(unary, Error::Interrupted { .. }), "{what}: {unary:?}");
        assert!(matches!(stream, Error::Interrupted { .. }), "{what}: {stream:?}");
    }
    for (what, body) in [
        ("no protobuf", frame(0, 4, b"\xff\xff\xff\xff")),
        ("compressed, unasked", frame(1, 4, b"\x1f\x8b\x08\x00")),
        ("no frame", Bytes::from_static(b"<html></html>")),
    ] {
        let (unary, stream) = answered(body).await;
        assert!(matches!(unary, Error::Malformed(_)), "{what}: {unary:?}");
        assert!(matches!(stream, Error::Malformed(_)), "{what}: {stream:?}");
    }
}

/// No header of a stranger makes a failure of this side look like the agent's own.
#[tokio::test]
async fn what_was_received_can_not_be_forged() {
    let headers = [
        ("content-type", "application/grpc"),
        ("a2ad-received", "1"),
        ("grpc-received", "1"),
    ];
    let body = frame(0, 4, b"\xff\xff\xff\xff");
    let script = Script::saying(200, &headers, body).await;
    let client = client_of(&script.url(), Binding::Grpc, "", &strict()).await;
    let error = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    assert!(matches!(error, Error::Malformed(_)), "{error:?}");
}

/// Words of tonic that an agent sends are the agent's.
#[tokio::test]
async fn words_of_ours_that_an_agent_sends_are_its_own() {
    let text = "Error, decoded message length too large";
    let script =
        Script::new(move |_| tonic::Status::out_of_range(text).into_http::<http_body_util::Full<Bytes>>())
            .await;
    let client = client_of(&script.url(), Binding::Grpc, "", &strict()).await;
    let unary = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    let stream = soon("an error", client.send_streaming(send("", "m", "x"))).await;
    let address = script.url().parse().unwrap();
    let mut operators = PushAdminClient::new(&address, None, None).await.unwrap();
    let operated = soon("an error", operators.list(ListDeliveriesRequest::default())).await;
    for error in [unary, stream.map(drop).unwrap_err(), operated.unwrap_err()] {
        assert!(
            matches!(&error, Error::Agent(error) if error.message == text),
            "{error:?}"
        );
    }
}

/// An event without a payload, or with one of a later version of the protocol, is passed over.
#[tokio::test]
async fn events_that_are_not_known_are_passed_over() {
    let known = StreamResponse {
        payload: Some(Payload::Message(Message::default())),
    };
    let known = frame(0, known.encoded_len() as u32, &known.encode_to_vec());
    // Field 15 of two bytes.
    let later = frame(0, 4, b"\x7a\x02hi");
    let body = [later.clone(), frame(0, 0, b""), known.clone(), later, known].concat();
    let script = Script::saying(200, &[("content-type", "application/grpc")], body).await;
    let client = client_of(&script.url(), Binding::Grpc, "", &strict()).await;
    let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
    for _ in 0..2 {
        let event = soon("an event", events.next()).await.unwrap().unwrap();
        assert!(event.response.payload.is_some());
    }
    // The body ends without a status.
    let error = last(events).await;
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
}

/// Nothing is read ahead, however much comes: frame after frame, or what is none behind the first one.
#[tokio::test]
async fn an_endless_stream_is_read_as_it_is_asked_for() {
    let known = StreamResponse {
        payload: Some(Payload::Message(Message::default())),
    };
    let known = frame(0, known.encoded_len() as u32, &known.encode_to_vec());
    for (piece, events) in [(known.repeat(1_000), 100), (b"x".repeat(1 << 10), 0)] {
        let sent = Arc::new(AtomicU64::new(0));
        let (counted, piece) = (sent.clone(), Bytes::from(piece));
        // One that is as large as may be, and no event.
        let first = if events > 0 {
            Bytes::new()
        } else {
            frame(0, 16 << 10, b"")
        };
        let site = Site::start(move |_| {
            let (counted, piece) = (counted.clone(), piece.clone());
            let endless = stream::iter([first.clone()]).chain(stream::repeat_with(move || {
                counted.fetch_add(piece.len() as u64, Ordering::SeqCst);
                piece.clone()
            }));
            let body = Body::from_stream(endless.map(Ok::<_, std::convert::Infallible>));
            answer(200, &[("content-type", "application/grpc")], body)
        })
        .await;
        let client = client_of(&site.url(""), Binding::Grpc, "", &strict()).await;
        let mut stream = client.send_streaming(send("", "m", "x")).await.unwrap();
        for _ in 0..events {
            let event = soon("an event", stream.next()).await.unwrap().unwrap();
            assert!(event.response.payload.is_some());
        }
        if events == 0 {
            let error = last(stream).await;
            assert!(matches!(error, Error::Malformed(_)), "{error:?}");
        } else {
            drop(stream);
        }
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent < BUFFERS_BYTES, "{sent} bytes");
    }
}

/// Headers and trailers have a size, whatever stands in them.
#[tokio::test]
async fn heads_have_their_limits() {
    let large = "x".repeat(8 << 10);
    let headers = [
        ("content-type", "application/grpc"),
        ("x-1", &large),
        ("x-2", &large),
        ("x-3", &large),
    ];
    let script = Script::saying(200, &headers, frame(0, 0, b"")).await;
    let client = client_of(&script.url(), Binding::Grpc, "", &strict()).await;
    let error = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    let stream = soon("an error", client.send_streaming(send("", "m", "x"))).await;
    let error = stream.map(drop).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_http2_is_told() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let host = RawHost::new(raw_host::Bytes::new(answer)).await;
    let client = client_of(&host.url(), Binding::Grpc, "", &strict()).await;
    let error = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_has_its_end() {
    let host = RawHost::new(raw_host::Bytes::new("")).await;
    let client = client_of(&host.url(), Binding::Grpc, "", &strict()).await;
    let error = soon("an error", client.task(get("", "t"))).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout(limit) if limit == strict().timeout),
        "{error:?}"
    );
    let error = soon("an error", client.send_streaming(send("", "m", "x")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

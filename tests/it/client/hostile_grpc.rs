//! Servers that mean harm, on gRPC.

use a2ad::client::{Error, EventStream};
use a2ad::context::Binding;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::harness::client_of;
use super::hostile::strict;
use super::raw_host::{self, RawHost};
use super::script::Script;
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

//! Servers that mean harm, on the JSON bindings: each gets a clear error, and costs what a limit allows.

use std::time::Duration;

use a2ad::client::call::Call;
use a2ad::client::{Client, ClientSettings, Error, Request};
use a2ad::context::Binding;
use futures_util::StreamExt as _;
use http::HeaderValue;

use super::harness::{BINDINGS, client_of};
use super::raw_host::{Bytes, RawHost};
use super::script::Script;
use crate::sockets::soon;
use crate::support::messages::{get, send};

const JSON: [Binding; 2] = [Binding::JsonRpc, Binding::HttpJson];

/// What the buffers of both sockets may hold, beside what the client has read.
pub const BUFFERS_BYTES: u64 = 16 << 20;

pub fn strict() -> ClientSettings {
    ClientSettings {
        timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(1),
        answer_bytes_max: 64 << 10,
        event_bytes_max: 16 << 10,
        ..ClientSettings::default()
    }
}

fn head(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n\r\n")
}

fn event_stream() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// A call that carries a secret.
fn secret(request: Request) -> Call {
    let mut call = Call::new(request);
    let mut value = HeaderValue::from_static("Bearer very-secret");
    value.set_sensitive(true);
    call.parameters.insert("authorization", value);
    call
}

async fn get_from(url: &str, binding: Binding) -> Error {
    let client = client_of(url, binding, "", &strict()).await;
    let call = secret(Request::GetTask(get("", "t")));
    soon("an error", client.call(call)).await.unwrap_err()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    TooLarge,
    Malformed,
    Interrupted,
    Timeout,
}

fn is(error: &Error) -> Option<Is> {
    Some(match error {
        Error::TooLarge { .. } => Is::TooLarge,
        Error::Malformed(_) => Is::Malformed,
        Error::Interrupted { .. } => Is::Interrupted,
        Error::Timeout(_) => Is::Timeout,
        _ => return None,
    })
}

/// n: 14 answers on 2 bindings.
#[tokio::test]
async fn answers_have_their_limits() {
    let deep = "[".repeat(40_000);
    let x = "x".repeat(32 << 10);
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let answers = [
        (
            "endless",
            Bytes::new(head("transfer-encoding: chunked")).then(&chunk(&x)),
            Is::TooLarge,
        ),
        (
            "endless, without a length",
            Bytes::new(head("x: y")).then(&x),
            Is::TooLarge,
        ),
        (
            "giant by its length",
            Bytes::new(head("content-length: 1000000000000")),
            Is::TooLarge,
        ),
        (
            "shorter than its length",
            Bytes::new(head("content-length: 100") + "{}").closing(),
            Is::Interrupted,
        ),
        (
            "longer than its length",
            Bytes::new(head("content-length: 1") + "{}"),
            Is::Malformed,
        ),
        (
            "a header without an end",
            Bytes::new("HTTP/1.1 200 OK\r\nx: ").then(&x),
            Is::Interrupted,
        ),
        (
            "too many headers",
            Bytes::new(head(&format!("{many}content-length: 2")) + "{}"),
            Is::Interrupted,
        ),
        (
            "slow",
            Bytes::new(head("content-length: 60000")).then("x").slowly(),
            Is::Timeout,
        ),
        (
            "a slow head",
            Bytes::new("HTTP/1.1 200 OK\r\nx: ").then("y").slowly(),
            Is::Timeout,
        ),
        ("silent", Bytes::new(""), Is::Timeout),
        (
            "deep",
            Bytes::new(head(&format!("content-length: {}", deep.len())) + &deep),
            Is::Malformed,
        ),
        (
            "deep inside",
            Bytes::new(
                head("connection: close") + r#"{"jsonrpc":"2.0","id":1,"result":{"metadata":{"a":"# + &deep,
            )
            .closing(),
            Is::Malformed,
        ),
        (
            "gzip",
            Bytes::new(head("content-encoding: gzip\r\ncontent-length: 2") + "{}"),
            Is::Malformed,
        ),
        (
            "no HTTP",
            Bytes::new("\x16\x03\x01 not at all\r\n\r\n"),
            Is::Interrupted,
        ),
    ];
    for (what, bytes, expected) in answers {
        for binding in JSON {
            let host = RawHost::new(bytes.clone()).await;
            let error = get_from(&host.url(), binding).await;
            assert_eq!(is(&error), Some(expected), "{what}, {binding:?}: {error:?}");
            assert!(error.to_string().chars().count() < 500, "{what}: {error}");
            host.closed().await;
            assert!(
                host.written() < BUFFERS_BYTES,
                "{what}, {binding:?}: {}",
                host.written()
            );
            assert!(!host.heard().to_lowercase().contains("accept-encoding"));
        }
    }
}

/// Places of cards that mean harm: n: 8.
#[tokio::test]
async fn cards_have_their_limits() {
    let x = "x".repeat(32 << 10);
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let places = [
        (
            "endless",
            Bytes::new(head("transfer-encoding: chunked")).then(&chunk(&x)),
        ),
        ("endless, without a length", Bytes::new(head("x: y")).then(&x)),
        (
            "giant by its length",
            Bytes::new(head("content-length: 1000000000000")).then(&x),
        ),
        (
            "shorter than its length",
            Bytes::new(head("content-length: 100") + "{}").closing(),
        ),
        (
            "a header without an end",
            Bytes::new("HTTP/1.1 200 OK\r\nx: ").then(&x),
        ),
        (
            "too many headers",
            Bytes::new(head(&format!("{many}content-length: 2")) + "{}"),
        ),
        (
            "slow",
            Bytes::new(head("content-length: 60000")).then("x").slowly(),
        ),
        ("silent", Bytes::new("")),
    ];
    for (what, bytes) in places {
        let host = RawHost::new(bytes).await;
        let builder = Client::builder().settings(ClientSettings {
            card_bytes_max: 64 << 10,
            card_timeout: Duration::from_secs(1),
            ..strict()
        });
        let reference = format!("{}/card.json", host.url()).parse().unwrap();
        let error = soon("an error", builder.resolve(&reference)).await.unwrap_err();
        let is_large = what.contains("endless") || what.contains("giant");
        assert_eq!(is(&error) == Some(Is::TooLarge), is_large, "{what}: {error:?}");
        assert!(error.to_string().chars().count() < 500, "{what}: {error}");
        // No client is left that would keep the connection.
        drop(builder);
        host.closed().await;
        assert!(host.written() < BUFFERS_BYTES, "{what}: {}", host.written());
    }
}

/// n: 8 streams on 2 bindings.
#[tokio::test]
async fn streams_have_their_limits() {
    let x = "x".repeat(8 << 10);
    let deep = format!("data: {}\n\n", "[".repeat(10_000));
    let streams = [
        (
            "one endless event",
            Bytes::new(event_stream() + &chunk("data: ")).then(&chunk(&x)),
            Is::TooLarge,
        ),
        (
            "endless lines",
            Bytes::new(event_stream()).then(&chunk("data: x\n")),
            Is::TooLarge,
        ),
        (
            "an endless name",
            Bytes::new(event_stream()).then(&chunk("abcdefgh")),
            Is::TooLarge,
        ),
        ("silent", Bytes::new(event_stream()), Is::Interrupted),
        (
            "empty chunks of comments, then nothing",
            Bytes::new(event_stream() + &chunk(": x\n\n")),
            Is::Interrupted,
        ),
        (
            "cut",
            Bytes::new(event_stream() + &chunk("data: {") + "0\r\n\r\n"),
            Is::Interrupted,
        ),
        (
            "broken off",
            Bytes::new(event_stream() + "ff\r\ndata").closing(),
            Is::Interrupted,
        ),
        ("deep", Bytes::new(event_stream() + &chunk(&deep)), Is::Malformed),
    ];
    for (what, bytes, expected) in streams {
        for binding in JSON {
            let host = RawHost::new(bytes.clone()).await;
            let client = client_of(&host.url(), binding, "", &strict()).await;
            let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
            let error = soon("an error", events.next()).await.unwrap().unwrap_err();
            assert_eq!(is(&error), Some(expected), "{what}, {binding:?}: {error:?}");
            assert!(events.next().await.is_none(), "{what}: an error is the last item");
            host.closed().await;
            assert!(
                host.written() < BUFFERS_BYTES,
                "{what}, {binding:?}: {}",
                host.written()
            );
        }
    }
}

/// Nothing is read ahead, however much comes.
#[tokio::test]
async fn an_endless_stream_is_read_as_it_is_asked_for() {
    for binding in JSON {
        let event = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hello"}]}}"#;
        let event = match binding {
            Binding::JsonRpc => format!(r#"{{"jsonrpc":"2.0","id":1,"result":{event}}}"#),
            _ => event.to_owned(),
        };
        let text = chunk(&format!(
            "event: message\r\ndata: {event}\r\n\r\nevent: ping\r\ndata: 1\r\n\r\n"
        ));
        let host = RawHost::new(Bytes::new(event_stream()).then(&text)).await;
        let client = client_of(&host.url(), binding, "", &strict()).await;
        let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
        for _ in 0..100 {
            let event = soon("an event", events.next()).await.unwrap().unwrap();
            assert!(event.response.payload.is_some());
        }
        drop(events);
        host.closed().await;
        assert!(host.written() < BUFFERS_BYTES, "{binding:?}: {}", host.written());
    }
}

/// Events of a later version of the protocol, and empty ones, are passed over; the stream goes on behind them.
#[tokio::test]
async fn events_that_are_not_known_are_passed_over() {
    let known = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hello"}]}}"#;
    for binding in JSON {
        let whole = |event: &str| match binding {
            Binding::JsonRpc => format!(r#"{{"jsonrpc":"2.0","id":1,"result":{event}}}"#),
            _ => event.to_owned(),
        };
        let mut text = String::new();
        for event in ["{}", r#"{"laterUpdate":{"taskId":"t"}}"#, known, "{}", known] {
            text.push_str(&format!("data: {}\n\n", whole(event)));
        }
        let end = "0\r\n\r\n";
        let host = RawHost::new(Bytes::new(event_stream() + &chunk(&text) + end)).await;
        let client = client_of(&host.url(), binding, "", &strict()).await;
        let events = client.send_streaming(send("", "m", "x")).await.unwrap();
        let events: Vec<_> = soon("the end", events.map(Result::unwrap).collect()).await;
        assert_eq!(events.len(), 2, "{binding:?}: {events:?}");
        assert!(events.iter().all(|event| event.response.payload.is_some()));
    }
}

/// A stream of nothing else costs what one event may cost, for as long as somebody wants to wait.
#[tokio::test]
async fn endless_events_that_are_not_known_need_no_room() {
    for (binding, event) in [
        (
            Binding::JsonRpc,
            r#"{"jsonrpc":"2.0","id":1,"result":{"later":1}}"#,
        ),
        (Binding::HttpJson, r#"{"later":1}"#),
    ] {
        let text = chunk(&format!("data: {event}\n\n").repeat(500));
        let host = RawHost::new(Bytes::new(event_stream()).then(&text)).await;
        let client = client_of(&host.url(), binding, "", &strict()).await;
        let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
        let enough = async {
            // Many times what one event may have.
            while host.written() < 4 << 20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            event = events.next() => panic!("{event:?}"),
            () = soon("many events", enough) => {}
        }
        drop(events);
        host.closed().await;
    }
}

/// A stream that is none: HTML, and events where one answer was asked for.
#[tokio::test]
async fn answers_of_another_type_are_told() {
    for (kind, is_streaming) in [
        ("text/html", true),
        ("text/event-stream", false),
        ("text/html", false),
    ] {
        let script = Script::saying(200, &[("content-type", kind)], "<html>").await;
        for binding in BINDINGS {
            let client = client_of(&script.url(), binding, "", &strict()).await;
            let error = match is_streaming {
                true => client
                    .send_streaming(send("", "m", "x"))
                    .await
                    .map(drop)
                    .unwrap_err(),
                false => client.task(get("", "t")).await.unwrap_err(),
            };
            assert!(error.to_string().contains(kind), "{binding:?}: {error}");
            assert_eq!(is(&error), Some(Is::Malformed));
        }
    }
}

/// n: 6 statuses on 3 bindings, and no request at the other host.
#[tokio::test]
async fn redirects_are_not_followed() {
    let other = RawHost::new(Bytes::new("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")).await;
    for status in [300, 301, 302, 303, 307, 308] {
        let place = format!("{}/elsewhere", other.url());
        let script = Script::saying(status, &[("location", &place)], "").await;
        for binding in BINDINGS {
            let error = get_from(&script.url(), binding).await;
            assert_eq!(
                is(&error),
                Some(Is::Malformed),
                "{status}, {binding:?}: {error:?}"
            );
            assert!(error.to_string().contains(&place), "{error}");
        }
        assert_eq!(script.got().len(), BINDINGS.len());
    }
    assert_eq!((other.connections(), other.heard()), (0, String::new()));
}

/// What stands behind an answer is not the answer to the next request, and cookies are not kept.
#[tokio::test]
async fn no_answer_is_left_over_for_another_request() {
    let task =
        |id: &str| format!(r#"{{"id":"{id}","contextId":"c","status":{{"state":"TASK_STATE_WORKING"}}}}"#);
    let answer = |id: &str| {
        let body = task(id);
        head(&format!("set-cookie: a=b\r\ncontent-length: {}", body.len())) + &body
    };
    let host = RawHost::new(Bytes::new(answer("mine") + &answer("smuggled"))).await;
    let client: Client = client_of(&host.url(), Binding::HttpJson, "", &strict()).await;
    for _ in 0..10 {
        assert_eq!(client.task(get("", "mine")).await.unwrap().id, "mine");
    }
    assert!(!host.heard().to_lowercase().contains("cookie"));
}

/// What is not TLS gets no request, and with it no credential.
#[tokio::test]
async fn nothing_is_said_without_tls_where_it_was_asked_for() {
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for bytes in [
        Bytes::new(plain),
        Bytes::new("\x16\x03\x03\x00\x7a\x02").closing(),
    ] {
        let host = RawHost::new(bytes).await;
        let url = format!("https://{}", host.address);
        for binding in BINDINGS {
            let error = get_from(&url, binding).await;
            assert!(
                matches!(error, Error::Unreachable { .. }),
                "{binding:?}: {error:?}"
            );
            assert!(error.is_unsent() && error.is_transient());
        }
        assert!(host.connections() >= BINDINGS.len());
        assert!(!host.heard().contains("very-secret"));
    }
}

/// The answer to another request, none at all, and one that is many.
#[tokio::test]
async fn an_envelope_has_to_be_that_of_the_request() {
    for body in [
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        "{}",
        "",
    ] {
        let script = Script::saying(200, &[("content-type", "application/json")], body).await;
        let error = get_from(&script.url(), Binding::JsonRpc).await;
        assert_eq!(is(&error), Some(Is::Malformed), "{body}: {error:?}");
    }
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"{}"}}}}"#,
        "x".repeat(66_000)
    );
    let script = Script::saying(200, &[("content-type", "application/json")], large).await;
    let settings = ClientSettings::default();
    let client = client_of(&script.url(), Binding::JsonRpc, "", &settings).await;
    let error = client.task(get("", "t")).await.unwrap_err();
    assert_eq!(is(&error), Some(Is::TooLarge), "{error:?}");
}

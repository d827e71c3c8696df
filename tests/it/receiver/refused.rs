//! What a receiver turns away, and that it yields nothing then.

use a2ad::client::receiver::{BuildError, ExpectedCredential, ReceiverBuilder, ReceiverSettings, Target};
use a2ad::config::Secret;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};

use super::{Bench, EVENT, NOW, Sent, URL, key};

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A request that would be good, with one thing changed.
type Change = fn(&mut Request<Bytes>);

#[tokio::test]
async fn everything_that_is_wrong_with_a_request_has_its_answer() {
    let (good_key, other_key) = (key(1), key(2));
    let mut bench = Bench::new();
    let good = Sent::new(&good_key, "id-1");
    let changes: [(&str, u16, Change); 9] = [
        ("GET", 405, |request| *request.method_mut() = Method::GET),
        ("another type", 415, |request| {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }),
        ("no type", 415, |request| {
            request.headers_mut().remove(header::CONTENT_TYPE);
        }),
        ("a type that was not signed", 401, |request| {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }),
        ("another body", 401, |request| {
            *request.body_mut() = Bytes::from(EVENT.replace("WORKING", "FAILED"));
        }),
        ("another id", 401, |request| {
            request
                .headers_mut()
                .insert("a2a-notification-id", HeaderValue::from_static("id-2"));
        }),
        ("no signature", 401, |request| {
            request.headers_mut().remove("signature");
            request.headers_mut().remove("signature-input");
        }),
        ("half a signature", 401, |request| {
            request.headers_mut().remove("signature");
        }),
        ("two digests", 401, |request| {
            let digest = request.headers()["content-digest"].clone();
            request.headers_mut().append("content-digest", digest);
        }),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (name, status, change) in changes {
        let mut request = good.request();
        change(&mut request);
        let (found, text) = bench.refused(request).await;
        assert_eq!(found, status, "{name}: {text}");
        if status == 401 {
            texts.insert(text);
        }
    }
    for (name, sent) in [
        ("another key", Sent::new(&other_key, "id-1")),
        (
            "old",
            Sent {
                created: NOW - 301,
                ..Sent::new(&good_key, "id-1")
            },
        ),
        (
            "of tomorrow",
            Sent {
                created: NOW + 61,
                ..Sent::new(&good_key, "id-1")
            },
        ),
        (
            "another URL",
            Sent {
                url: URL.replace("me", "you"),
                ..Sent::new(&good_key, "id-1")
            },
        ),
    ] {
        let (found, text) = bench.refused(sent.request()).await;
        assert_eq!(found, 401, "{name}: {text}");
        texts.insert(text);
    }
    assert_eq!(texts.len(), 1, "the answer tells what was wrong: {texts:?}");
    // None of them has used the delivery up.
    bench.accepted(good.request()).await;
}

#[tokio::test]
async fn a_request_can_not_be_replayed_when_its_time_is_over() {
    let (key, mut bench) = (key(1), Bench::new());
    let request = || Sent::new(&key, "id-1").request();
    bench.accepted(request()).await;
    bench.clock.advance_ms(300_000);
    assert_eq!(bench.refused(request()).await.0, 200);
    bench.clock.advance_ms(1_000);
    assert_eq!(bench.refused(request()).await.0, 401);
}

#[tokio::test]
async fn bodies_that_are_no_events_are_refused_though_they_are_signed() {
    let (key, mut bench) = (key(1), Bench::new());
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"task":1}"#,
        r#"{"statusUpdate":{"status":{"state":"NONE"}}}"#,
    ] {
        let sent = Sent {
            body: Bytes::from_static(body.as_bytes()),
            ..Sent::new(&key, "id-1")
        };
        let (status, text) = bench.refused(sent.request()).await;
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.contains("no event"), "{body}: {text}");
    }
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let key = key(1);
    let settings = ReceiverSettings {
        body_bytes_max: EVENT.len(),
        ..ReceiverSettings::default()
    };
    let mut bench = Bench::with(settings, |builder| builder);
    bench.accepted(Sent::new(&key, "id-1").request()).await;
    let longer = Sent {
        body: Bytes::from(format!("{EVENT} ")),
        ..Sent::new(&key, "id-2")
    };
    assert_eq!(bench.refused(longer.request()).await.0, 413);
}

#[tokio::test]
async fn a_token_and_a_credential_have_to_be_right_as_well() {
    let key = key(1);
    let mut bench = Bench::with(ReceiverSettings::default(), |builder| {
        builder
            .token(secret("token"))
            .credential(ExpectedCredential::Bearer(secret("bearer")))
    });
    let mut number = 0;
    for (token, bearer, is_good) in [
        (Some("token"), Some("Bearer bearer"), true),
        (Some("Token"), Some("Bearer bearer"), false),
        (None, Some("Bearer bearer"), false),
        (Some("token"), Some("Bearer other"), false),
        (Some("token"), None, false),
        (None, None, false),
    ] {
        number += 1;
        let mut request = Sent::new(&key, &format!("id-{number}")).request();
        let headers = request.headers_mut();
        if let Some(token) = token {
            headers.insert("x-a2a-notification-token", HeaderValue::from_static(token));
        }
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(bearer));
        }
        if is_good {
            bench.accepted(request).await;
        } else {
            assert_eq!(bench.refused(request).await.0, 401, "{token:?} {bearer:?}");
        }
    }
}

#[tokio::test]
async fn unsigned_requests_are_taken_only_where_that_is_configured() {
    let none = ReceiverBuilder::new(Target::url(URL).unwrap()).build();
    assert_eq!(none.err(), Some(BuildError::NoKeys));
    let (good, other) = (key(1), key(2));
    let bare = |id: Option<&'static str>| {
        let mut request = Sent::new(&good, "id").request();
        request.headers_mut().clear();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(id) = id {
            request
                .headers_mut()
                .insert("a2a-notification-id", HeaderValue::from_static(id));
        }
        request
    };
    assert_eq!(Bench::new().refused(bare(None)).await.0, 401);

    let mut bench = Bench::with(ReceiverSettings::default(), ReceiverBuilder::accept_unsigned);
    for _ in 0..2 {
        let notification = bench.accepted(bare(None)).await;
        assert_eq!(
            (
                notification.delivery_id.as_deref(),
                notification.signed_by.as_deref()
            ),
            (None, None)
        );
    }
    assert_eq!(
        bench.accepted(bare(Some("id-1"))).await.delivery_id.as_deref(),
        Some("id-1")
    );
    assert_eq!(bench.refused(bare(Some("id-1"))).await.0, 200);
    // Whoever makes an id up takes it from no signed delivery, and has none of theirs.
    bench.accepted(Sent::new(&good, "id-1").request()).await;
    bench.accepted(Sent::new(&good, "id-9").request()).await;
    bench.accepted(bare(Some("id-9"))).await;
    // A signature that is there has to be good all the same.
    assert_eq!(bench.refused(Sent::new(&other, "id-2").request()).await.0, 401);
    assert!(
        bench
            .accepted(Sent::new(&good, "id-2").request())
            .await
            .signed_by
            .is_some()
    );
}

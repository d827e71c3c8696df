//! Errors: each of the same kind on every binding, in the form of 1.0 and in others, and no more of it than is good.

use std::time::Duration;

use a2ad::client::{AgentError, Client, ClientSettings, Error};
use a2ad::context::Binding;
use a2ad::error::Kind;
use a2ad::pb::{CancelTaskRequest, SendMessageRequest, TaskPushNotificationConfig};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::harness::{BINDINGS, client, client_of, on_each_binding};
use super::script::Script;
use crate::support::messages::{at_once, get, reply, send, send_of, subscribe, task};
use crate::support::world::World;

on_each_binding!(what_our_server_refuses_has_its_kind, every_kind_is_itself);

#[track_caller]
fn agent(error: Error) -> AgentError {
    match error {
        Error::Agent(error) => *error,
        other => panic!("not of the agent: {other:?}"),
    }
}

/// (kind, the error of a call that provokes it).
async fn provoked(world: &World, binding: Binding) -> Vec<(Kind, Error)> {
    let of = async |name| client(world.address, binding, name).await;
    let (all, plain) = (of("conformance").await, of("plain").await);
    let done = task(all.send(send("", "tck-complete-task", "x")).await.unwrap());
    let cancel = |id: &str| CancelTaskRequest {
        id: id.to_owned(),
        ..CancelTaskRequest::default()
    };
    let config = TaskPushNotificationConfig {
        task_id: done.id.clone(),
        url: "https://example.com".to_owned(),
        ..TaskPushNotificationConfig::default()
    };
    let foreign = {
        let mut message = crate::support::messages::message("m", "x");
        message.parts[0].media_type = "application/x-unknown".to_owned();
        send_of("", message)
    };
    let old = Client::new(
        a2ad::client::Target {
            version: "7.0".to_owned(),
            ..all.target().clone()
        },
        super::harness::transport_of(all.target(), "7.0").await,
    );
    let promising = of("promising").await;
    let strict = of("strict").await;
    let nobody = of("nobody").await;
    vec![
        (Kind::TaskNotFound, all.task(get("", "none")).await.unwrap_err()),
        (
            Kind::TaskNotCancelable,
            all.cancel(cancel(&done.id)).await.unwrap_err(),
        ),
        (
            Kind::PushNotificationNotSupported,
            plain.create_push_config(config).await.unwrap_err(),
        ),
        (
            Kind::UnsupportedOperation,
            all.subscribe(subscribe("", &done.id), None).await.unwrap_err(),
        ),
        (
            Kind::UnsupportedOperation,
            all.send(reply("", &done, "m", "x")).await.unwrap_err(),
        ),
        (
            Kind::ContentTypeNotSupported,
            all.send(foreign).await.unwrap_err(),
        ),
        (
            Kind::ExtendedAgentCardNotConfigured,
            promising.extended_card().await.unwrap_err(),
        ),
        (
            Kind::ExtensionSupportRequired,
            strict.send(send("", "m", "x")).await.unwrap_err(),
        ),
        (
            Kind::VersionNotSupported,
            old.task(get("", "none")).await.unwrap_err(),
        ),
        (
            Kind::InvalidParams,
            all.send(SendMessageRequest::default()).await.unwrap_err(),
        ),
        (Kind::NotFound, nobody.task(get("", "none")).await.unwrap_err()),
    ]
}

async fn what_our_server_refuses_has_its_kind(binding: Binding) {
    let world = World::new().await;
    let provoked = provoked(&world, binding).await;
    assert_eq!(provoked.len(), 11);
    for (kind, error) in provoked {
        let error = agent(error);
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(
            !error.message.is_empty() && error.metadata.contains_key("requestId"),
            "{error:?}"
        );
        assert_eq!(
            error.violations.is_empty(),
            kind != Kind::InvalidParams,
            "{error:?}"
        );
    }
    let error = conflict(&world, binding).await;
    assert_eq!(agent(error).kind, Kind::Conflict);
}

/// One key with two requests.
async fn conflict(world: &World, binding: Binding) -> Error {
    use a2ad::client::Request;
    use a2ad::client::call::{Call, IDEMPOTENCY_KEY};
    let client = client(world.address, binding, "puppet").await;
    let first = Call::new(Request::SendMessage(at_once(send("", "m", "hold"))));
    assert!(first.parameters.contains_key(IDEMPOTENCY_KEY));
    let mut second = first.clone();
    second.request = Request::SendMessage(at_once(send("", "n", "hold")));
    client.call(first).await.unwrap();
    client.call(second).await.unwrap_err()
}

/// An error as the specification has it (9.5, 10.6 and 11.6), in an answer of a binding.
fn written(binding: Binding, kind: Kind) -> Response<Full<Bytes>> {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": kind.reason(), "domain": kind.domain(), "metadata": {"taskId": "t"},
    });
    let bad = json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "a.b", "description": "why"}],
    });
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"});
    let details = json!([info, bad, retry]);
    let response = Response::builder().header("www-authenticate", "Bearer realm=\"a\"");
    match binding {
        Binding::Grpc => {
            let mut details = ErrorDetails::new();
            details
                .set_error_info(
                    kind.reason(),
                    kind.domain(),
                    [("taskId".to_owned(), "t".to_owned())],
                )
                .add_bad_request_violation("a.b", "why")
                .set_retry_info(Some(Duration::from_millis(1_500)));
            let status = tonic::Status::with_error_details(kind.grpc_code(), "what", details);
            let mut response = status.into_http::<Full<Bytes>>();
            let challenge = "Bearer realm=\"a\"".parse().unwrap();
            response.headers_mut().insert("www-authenticate", challenge);
            response
        }
        Binding::JsonRpc => {
            let error = json!({"code": kind.json_rpc_code(), "message": "what", "data": details});
            let body = json!({"jsonrpc": "2.0", "id": null, "error": error});
            response
                .header("content-type", "application/json")
                .body(Full::from(body.to_string()))
                .unwrap()
        }
        Binding::HttpJson => {
            let error = json!({"code": kind.http_status(), "message": "what", "details": details});
            response
                .status(kind.http_status())
                .header("content-type", "application/json")
                .body(Full::from(json!({"error": error}).to_string()))
                .unwrap()
        }
    }
}

async fn every_kind_is_itself(binding: Binding) {
    for kind in Kind::ALL {
        let script = Script::new(move |_| written(binding, kind)).await;
        let settings = ClientSettings::default();
        let client = client_of(&script.url(), binding, "", &settings).await;
        let error = agent(client.task(get("", "t")).await.unwrap_err());
        // These two have one reason.
        let expected = match kind {
            Kind::UnsupportedMediaType => Kind::ContentTypeNotSupported,
            other => other,
        };
        assert_eq!((error.kind, error.message.as_str()), (expected, "what"));
        assert_eq!(error.metadata["taskId"], "t");
        assert_eq!(error.violations[0].field, "a.b");
        assert_eq!(error.retry_after, Some(Duration::from_millis(1_500)));
        assert_eq!(error.challenge.as_deref(), Some("Bearer realm=\"a\""));
        let streamed = client.send_streaming(send("", "m", "x")).await.unwrap_err();
        assert_eq!(agent(streamed).kind, expected);
    }
}

/// What older SDKs and proxies say: (status, type, body, kind, code, message).
#[tokio::test]
async fn other_forms_are_understood() {
    let problem =
        json!({"type": "https://a2a-protocol.org/errors/task-not-cancelable", "title": "no", "status": 409});
    let forms: [(u16, &str, String, Kind, &str, &str); 9] = [
        (404, "application/json", json!({"code": -32001, "message": "gone"}).to_string(), Kind::TaskNotFound, "-32001", "gone"),
        (400, "application/json", json!({"error": {"status": "FAILED_PRECONDITION", "message": "no"}}).to_string(), Kind::UnsupportedOperation, "400", "no"),
        (400, "application/json", json!({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_REQUEST", "domain": "a2a-protocol.org", "metadata": {"n": 1}}]}}).to_string(), Kind::InvalidRequest, "400", "HTTP status 400"),
        (409, "application/problem+json", problem.to_string(), Kind::TaskNotCancelable, "409", "no"),
        (422, "application/json", json!({"detail": "bad"}).to_string(), Kind::InvalidParams, "422", "bad"),
        (401, "application/json", json!({"error": "who?"}).to_string(), Kind::Unauthenticated, "401", "who?"),
        (502, "text/html", "<h1>502</h1>".to_owned(), Kind::Unavailable, "502", "HTTP status 502"),
        (429, "application/json", "[]".to_owned(), Kind::ResourceExhausted, "429", "HTTP status 429"),
        (500, "application/json", "x".repeat(1 << 20), Kind::Internal, "500", "HTTP status 500"),
    ];
    for (status, media, body, kind, code, message) in forms {
        let headers = [("content-type", media), ("retry-after", "7")];
        let script = Script::saying(status, &headers, body.clone()).await;
        let client = client_of(&script.url(), Binding::HttpJson, "", &ClientSettings::default()).await;
        let error = agent(client.task(get("", "t")).await.unwrap_err());
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{body:.200}");
        assert!(error.message.contains(message), "{error:?}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }
}

/// A proxy that answers in place of the agent does so alike on every binding.
#[tokio::test]
async fn a_bare_status_has_its_kind_everywhere() {
    for (status, kind) in [
        (401, Kind::Unauthenticated),
        (403, Kind::PermissionDenied),
        (404, Kind::NotFound),
        (429, Kind::ResourceExhausted),
        (500, Kind::Internal),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
        (504, Kind::DeadlineExceeded),
    ] {
        let headers = [
            ("content-type", "text/plain"),
            ("retry-after", "3"),
            ("www-authenticate", "Basic"),
        ];
        let script = Script::saying(status, &headers, "no").await;
        for binding in BINDINGS {
            let client = client_of(&script.url(), binding, "", &ClientSettings::default()).await;
            let error = agent(client.task(get("", "t")).await.unwrap_err());
            assert_eq!(
                (error.kind, error.code.as_str()),
                (kind, status.to_string().as_str()),
                "{binding:?}"
            );
            assert_eq!(error.retry_after, Some(Duration::from_secs(3)), "{binding:?}");
            assert_eq!(error.challenge.as_deref(), Some("Basic"), "{binding:?}");
        }
    }
}

/// `Retry-After` as a date, by the clock of who wrote it; and no longer than there is a sense in.
#[tokio::test]
async fn retry_after_may_be_a_date() {
    for (text, seconds) in [
        ("Sun, 22 Nov 2026 12:00:30 GMT", Some(30)),
        ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(365 * 86_400)),
        ("18446744073709551615", Some(365 * 86_400)),
        ("soon", None),
    ] {
        let headers = [("date", "Sun, 22 Nov 2026 12:00:00 GMT"), ("retry-after", text)];
        let script = Script::saying(503, &headers, "no").await;
        for binding in BINDINGS {
            let client = client_of(&script.url(), binding, "", &ClientSettings::default()).await;
            let error = agent(client.task(get("", "t")).await.unwrap_err());
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(error.retry_after, expected, "{binding:?} {text}");
        }
    }
}

#[tokio::test]
async fn json_rpc_codes_count_where_there_is_no_reason() {
    for (code, status, kind) in [
        (-32001, 200, Kind::TaskNotFound),
        (-32602, 200, Kind::InvalidParams),
        (-32601, 404, Kind::MethodNotFound),
        (-32603, 200, Kind::Internal),
        (-32603, 503, Kind::Unavailable),
        (-32000, 200, Kind::Internal),
        (-32000, 401, Kind::Unauthenticated),
    ] {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "m", "data": "free"}});
        let headers = [("content-type", "application/json")];
        let script = Script::saying(status, &headers, body.to_string()).await;
        let client = client_of(&script.url(), Binding::JsonRpc, "", &ClientSettings::default()).await;
        let error = agent(client.task(get("", "t")).await.unwrap_err());
        assert_eq!((error.kind, error.code), (kind, code.to_string()));
    }
}

/// Of what a stranger says no more is kept than a person can read.
#[tokio::test]
async fn errors_are_cut_to_a_size() {
    let long = "ä".repeat(9_000);
    let many: Vec<Value> = (0..200)
        .map(|n| json!({"field": format!("f{n}"), "description": long.get(..20)}))
        .collect();
    let metadata: serde_json::Map<String, Value> = (0..200).map(|n| (format!("k{n}"), json!("v"))).collect();
    let details = json!([
        {"@type": "x/google.rpc.BadRequest", "fieldViolations": many},
        {"@type": "x/google.rpc.ErrorInfo", "reason": "MINE", "domain": "x.example", "metadata": metadata},
    ]);
    let error = json!({"code": 400, "message": long, "details": details});
    let headers = [("content-type", "application/json")];
    let script = Script::saying(400, &headers, json!({"error": error}).to_string()).await;
    let client = client_of(&script.url(), Binding::HttpJson, "", &ClientSettings::default()).await;
    let error = agent(client.task(get("", "t")).await.unwrap_err());
    assert_eq!(error.kind, Kind::InvalidParams);
    assert_eq!(error.message, "ä".repeat(2_048));
    assert_eq!((error.violations.len(), error.metadata.len()), (64, 64));
}

/// Nothing is sent that would be another request than was meant.
#[tokio::test]
async fn a_request_without_its_id_is_not_sent() {
    let script = Script::saying(200, &[], "{}").await;
    let client = client_of(&script.url(), Binding::HttpJson, "", &ClientSettings::default()).await;
    for id in ["", ".", ".."] {
        let error = client.task(get("", id)).await.unwrap_err();
        assert!(
            matches!(error, Error::Unsendable(_)) && error.is_unsent(),
            "{error:?}"
        );
    }
    assert_eq!(script.got().len(), 0);
}

/// The error with which a stream ends, in every form that it may have: (binding, event, what it is).
///
/// n: 11 events.
#[tokio::test]
async fn an_error_ends_a_stream_whatever_its_form() {
    let problem = r#"{"type":"https://a2a-protocol.org/errors/task-not-found","title":"gone","status":404}"#;
    let bare = r#"{"type":"about:blank","title":"later","status":503}"#;
    let x = "x".repeat(70 << 10);
    let large = format!(r#"{{"error":{{"code":500,"message":"{x}"}}}}"#);
    let large_rpc = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32603,"message":"{x}"}}}}"#);
    let (rest, rpc) = (Binding::HttpJson, Binding::JsonRpc);
    let cases: [(Binding, &str, &str, Result<Kind, &str>); 11] = [
        (rest, "event: error\n", problem, Ok(Kind::TaskNotFound)),
        (rest, "event: error\n", bare, Ok(Kind::Unavailable)),
        (rest, "event: error\n", r#"{"detail":"x"}"#, Ok(Kind::Internal)),
        (rest, "event: error\n", "{}", Ok(Kind::Internal)),
        (rest, "event: error\n", "boom", Err("Malformed")),
        (rest, "event: error\n", &large, Err("TooLarge")),
        (rest, "", &large, Err("TooLarge")),
        (rest, "event: mine\n", &large, Err("TooLarge")),
        (
            rest,
            "",
            r#"{"code":-32001,"message":"gone"}"#,
            Ok(Kind::TaskNotFound),
        ),
        (
            rpc,
            "event: error\n",
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Err("Malformed"),
        ),
        (rpc, "event: error\n", &large_rpc, Err("TooLarge")),
    ];
    for (binding, name, data, expected) in cases {
        let body = format!("{name}data: {data}\n\n");
        let script = Script::saying(200, &[("content-type", "text/event-stream")], body).await;
        let client = client_of(&script.url(), binding, "", &ClientSettings::default()).await;
        let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
        let error = events.next().await.unwrap().unwrap_err();
        match (&error, expected) {
            (Error::Agent(error), Ok(kind)) => assert_eq!(error.kind, kind, "{name}{data:.200}"),
            (Error::Malformed(_), Err("Malformed")) | (Error::TooLarge { .. }, Err("TooLarge")) => {}
            _ => panic!("{name}{data:.200}: {error:?}"),
        }
        assert!(!error.to_string().contains("200 OK"), "{error}");
        assert!(events.next().await.is_none(), "it is the last item");
    }
    // What is no error is passed over at any size.
    let later = format!("data: {{\"later\":\"{x}\"}}\n\nevent: mine\ndata: {{}}\n\n");
    let script = Script::saying(200, &[("content-type", "text/event-stream")], later).await;
    let client = client_of(&script.url(), rest, "", &ClientSettings::default()).await;
    let mut events = client.send_streaming(send("", "m", "x")).await.unwrap();
    assert!(events.next().await.is_none());
}

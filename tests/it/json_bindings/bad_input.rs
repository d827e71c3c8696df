//! Bad input, class by class, on both bindings: status, code, reason, and that nothing was made of it.

use a2ad::api::ApiSettings;
use serde_json::json;

use super::bad_rows::{calls, sends};
use super::harness::{EXTENSION, World, message, request, with};

#[tokio::test]
async fn every_class_on_both_bindings() {
    let world = World::new().await;
    let done = world.task("conformance", "tck-complete-task").await;
    let waiting = world.task("conformance", "tck-input-required").await;
    let id = |task: &serde_json::Value| task["id"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for row in sends(&id(&done), &id(&waiting))
        .into_iter()
        .chain(calls(&id(&done)))
    {
        let (verb, path, body) = &row.http;
        let http = world.http(verb, path, body).await;
        let (path, method, params) = &row.rpc;
        let rpc = world.rpc(&format!("{path}/"), method, params).await;
        let seen = (http.status, http.json()["error"]["code"].as_u64(), http.reason());
        if seen != (row.status, Some(row.status.into()), row.reason.to_owned()) {
            wrong.push(format!("{} over HTTP+JSON: {seen:?} {}", row.class, http.body));
        }
        let seen = (rpc.status, rpc.json()["error"]["code"].as_i64(), rpc.reason());
        if seen != (200, Some(row.code.into()), row.reason.to_owned()) {
            wrong.push(format!("{} over JSON-RPC: {seen:?} {}", row.class, rpc.body));
        }
        for reply in [http, rpc] {
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("x-frame-options"), "DENY");
            assert_eq!(
                reply.header("strict-transport-security"),
                "",
                "it came in the clear"
            );
            assert!(
                reply.header("content-type").starts_with("application/"),
                "{}",
                row.class
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for agent in ["echo", "plain", "conformance"] {
        let tasks = world.http("GET", &format!("/{agent}/tasks"), "").await.json();
        let expected = if agent == "conformance" { 2 } else { 0 };
        assert_eq!(tasks["tasks"].as_array().unwrap().len(), expected, "{agent}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json() {
    let world = World::new().await;
    for body in ["{", "nonsense", "{} {}", "{\"message\":}"] {
        let http = world.http("POST", "/message:send", body).await;
        assert_eq!(
            (http.status, http.reason()),
            (400, "PARSE_ERROR".to_owned()),
            "{body}"
        );
        let rpc = world.http("POST", "/", body).await;
        assert_eq!(
            (rpc.status, rpc.json()["error"]["code"].as_i64()),
            (200, Some(-32700)),
            "{body}"
        );
        assert_eq!(rpc.json()["id"], json!(null));
    }
    let empty = world
        .send(with(
            request("POST", "/message:send", ""),
            "content-type",
            "application/json",
        ))
        .await;
    assert_eq!(empty.status, 400);
}

#[tokio::test]
async fn routes_and_verbs() {
    let world = World::new().await;
    for (verb, path, status, reason, allow) in [
        ("GET", "/nowhere", 404, "METHOD_NOT_FOUND", ""),
        ("POST", "/tasks/a/b/c/d/e/f", 404, "METHOD_NOT_FOUND", ""),
        ("GET", "/tasks/%ff", 400, "INVALID_PARAMS", ""),
        ("GET", "/nobody/tasks", 404, "NOT_FOUND", ""),
        ("GET", "/nobody/.well-known/agent-card.json", 404, "NOT_FOUND", ""),
        ("GET", "/message:send", 405, "METHOD_NOT_ALLOWED", "POST"),
        ("PUT", "/tasks/x", 405, "METHOD_NOT_ALLOWED", "GET"),
        ("GET", "/rpc", 405, "METHOD_NOT_ALLOWED", "POST"),
        ("OPTIONS", "/tasks", 405, "METHOD_NOT_ALLOWED", "GET"),
        ("GET", "/tasks?status=%ff", 400, "INVALID_PARAMS", ""),
    ] {
        let reply = world.http(verb, path, "").await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (status, reason),
            "{verb} {path}"
        );
        assert_eq!(reply.header("allow"), allow);
    }
}

#[tokio::test]
async fn media_types_and_ambiguous_headers() {
    let world = World::new().await;
    let rpc = r#"{"jsonrpc":"2.0","id":1,"method":"ListTasks"}"#;
    let send = message("m", "x");
    for (name, value, status, reason) in [
        ("content-type", "text/plain", 415, "CONTENT_TYPE_NOT_SUPPORTED"),
        (
            "content-type",
            "application/json; charset=utf-16",
            415,
            "CONTENT_TYPE_NOT_SUPPORTED",
        ),
        ("content-encoding", "br", 415, "CONTENT_TYPE_NOT_SUPPORTED"),
        ("a2a_version", "1.0", 400, "INVALID_PARAMS"),
        ("idempotency-key", "", 400, "INVALID_PARAMS"),
        ("last-event-id", "x", 400, "INVALID_PARAMS"),
    ] {
        let http = world
            .send(with(request("POST", "/message:send", &send), name, value))
            .await;
        assert_eq!(
            (http.status, http.reason().as_str()),
            (status, reason),
            "{name}: {value}"
        );
        let rpc = world.send(with(request("POST", "/", rpc), name, value)).await;
        let expected = if status == 415 { 415 } else { 200 };
        assert_eq!(
            (rpc.status, rpc.reason().as_str()),
            (expected, reason),
            "{name}: {value}"
        );
    }
    for (verb, path, body) in [("POST", "/message:send", send.as_str()), ("POST", "/", rpc)] {
        let mut twice = request(verb, path, body);
        twice
            .headers_mut()
            .append("content-type", "application/json".parse().unwrap());
        assert_eq!(world.send(twice).await.reason(), "INVALID_PARAMS");
        let mut none = request(verb, path, body);
        none.headers_mut().remove("content-type");
        assert_eq!(world.send(none).await.status, 415);
    }
}

#[tokio::test]
async fn versions() {
    let world = World::new().await;
    let rpc = r#"{"jsonrpc":"2.0","id":"v","method":"message/send","params":{}}"#;
    for version in [None, Some(""), Some("0.3"), Some("2.0")] {
        for (verb, path, body) in [
            ("GET", "/tasks", ""),
            ("POST", "/message:send", "{"),
            ("POST", "/", rpc),
        ] {
            let mut asked = request(verb, path, body);
            asked.headers_mut().remove("a2a-version");
            if let Some(version) = version {
                asked = with(asked, "a2a-version", version);
            }
            let reply = world.send(asked).await;
            assert_eq!(reply.reason(), "VERSION_NOT_SUPPORTED", "{version:?} {path}");
            if path == "/" {
                assert_eq!((reply.status, &reply.json()["id"]), (200, &json!("v")));
            }
        }
    }
    let mut in_query = request("GET", "/tasks?A2A-Version=1.0", "");
    in_query.headers_mut().remove("a2a-version");
    assert_eq!(world.send(in_query).await.status, 200);
}

#[tokio::test]
async fn too_large_and_shutting_down() {
    let settings = ApiSettings {
        body_bytes_max: 1_000,
        ..ApiSettings::default()
    };
    let world = World::with(settings).await;
    let large = message("m", &"x".repeat(1_000));
    let http = world.http("POST", "/message:send", &large).await;
    assert_eq!(
        (http.status, http.reason()),
        (413, "RESOURCE_EXHAUSTED".to_owned())
    );
    let rpc = world.rpc("/", "SendMessage", &large).await;
    assert_eq!(
        (rpc.status, rpc.json()["error"]["code"].as_i64()),
        (413, Some(-32600))
    );
    world.shutdown.drain();
    let http = world.http("POST", "/message:send", &message("m", "x")).await;
    assert_eq!((http.status, http.reason()), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(http.header("retry-after"), "1");
    let rpc = world.rpc("/", "SendMessage", &message("m", "x")).await;
    assert_eq!(
        (rpc.status, rpc.json()["error"]["code"].as_i64()),
        (503, Some(-32603))
    );
    assert_eq!(rpc.header("retry-after"), "1");
    assert_eq!(world.http("GET", "/healthz", "").await.status, 503);
}

#[tokio::test]
async fn extensions_are_echoed_when_active() {
    let world = World::new().await;
    let declared = format!("urn:example:unknown, {EXTENSION}");
    let http = with(
        request("POST", "/strict/message:send", &message("m", "x")),
        "a2a-extensions",
        &declared,
    );
    let http = world.send(http).await;
    assert_eq!((http.status, http.header("a2a-extensions")), (200, EXTENSION));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}}"#,
        message("m", "x")
    );
    let rpc = world
        .send(with(
            request("POST", "/strict", &body),
            "a2a-extensions",
            &declared,
        ))
        .await;
    assert_eq!((rpc.status, rpc.header("a2a-extensions")), (200, EXTENSION));
}

//! Bad input, class by class, on both bindings: status, code, reason, and that nothing was made of it.

use a2ad::api::ApiSettings;
use serde_json::json;

use super::harness::{EXTENSION, World, message, request, with};

/// The same mistake on both bindings.
struct Row {
    class: &'static str,
    http: (&'static str, String, String),
    rpc: (&'static str, &'static str, String),
    status: u16,
    code: i32,
    reason: &'static str,
}

const PARAMS: (u16, i32, &str) = (400, -32602, "INVALID_PARAMS");
const MISSING: (u16, i32, &str) = (404, -32001, "TASK_NOT_FOUND");

/// A send of this body to an agent.
fn send(class: &'static str, agent: &'static str, body: String, answer: (u16, i32, &'static str)) -> Row {
    let path = format!("{agent}/message:send");
    let (status, code, reason) = answer;
    Row {
        class,
        http: ("POST", path, body.clone()),
        rpc: (agent, "SendMessage", body),
        status,
        code,
        reason,
    }
}

/// A request without a body of an agent.
fn call(
    class: &'static str,
    agent: &'static str,
    (verb, path): (&'static str, &str),
    (method, params): (&'static str, String),
    (status, code, reason): (u16, i32, &'static str),
) -> Row {
    Row {
        class,
        http: (verb, format!("{agent}{path}"), String::new()),
        rpc: (agent, method, params),
        status,
        code,
        reason,
    }
}

fn parts(parts: &str) -> String {
    format!(r#"{{"message":{{"messageId":"m","role":"ROLE_USER","parts":{parts}}}}}"#)
}

fn sends(done: &str, waiting: &str) -> Vec<Row> {
    let to = |task: &str, context: &str| {
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}],
            "taskId": task, "contextId": context}})
        .to_string()
    };
    let deep = format!(r#"[{{"data":{}1{}}}]"#, "[".repeat(40), "]".repeat(40));
    let deeper = format!(r#"[{{"data":{}1{}}}]"#, "[".repeat(300), "]".repeat(300));
    let many = format!("[{}]", vec![r#"{"text":"x"}"#; 1_025].join(","));
    let webhook = |url: &str| {
        message("m", "x").replacen(
            '{',
            &format!(r#"{{"configuration":{{"taskPushNotificationConfig":{{"url":"{url}"}}}},"#),
            1,
        )
    };
    vec![
        send("B5 no message", "/echo", "{}".into(), PARAMS),
        send("B5 no parts", "/echo", parts("[]"), PARAMS),
        send(
            "B6 wrong type",
            "/echo",
            r#"{"message":{"messageId":7}}"#.into(),
            PARAMS,
        ),
        send(
            "B6 unknown role",
            "/echo",
            r#"{"message":{"role":"ROLE_X"}}"#.into(),
            PARAMS,
        ),
        send("B6 not an object", "/echo", r#"{"message":[]}"#.into(), PARAMS),
        send(
            "B7 oneof twice",
            "/echo",
            parts(r#"[{"text":"a","url":"b"}]"#),
            PARAMS,
        ),
        send("B7 oneof not at all", "/echo", parts("[{}]"), PARAMS),
        send("B9 unknown task", "/echo", to("nobody", ""), MISSING),
        send(
            "B11 terminal task",
            "/conformance",
            to(done, ""),
            (400, -32004, "UNSUPPORTED_OPERATION"),
        ),
        send(
            "B12 another context",
            "/conformance",
            to(waiting, "other"),
            PARAMS,
        ),
        send(
            "B17 media type",
            "/conformance",
            parts(r#"[{"text":"x","mediaType":"audio/ogg"}]"#),
            (400, -32005, "CONTENT_TYPE_NOT_SUPPORTED"),
        ),
        send(
            "B18 extension",
            "/strict",
            message("m", "x"),
            (400, -32008, "EXTENSION_SUPPORT_REQUIRED"),
        ),
        send("B24 depth", "/echo", parts(&deep), PARAMS),
        send("B24 parts", "/echo", parts(&many), PARAMS),
        send("B24 beyond the parser", "/echo", parts(&deeper), PARAMS),
        send("B25 NUL", "/echo", parts(r#"[{"text":"a\u0000"}]"#), PARAMS),
        send(
            "B25 surrogate",
            "/echo",
            parts(r#"[{"text":"\ud800"}]"#),
            (400, -32700, "PARSE_ERROR"),
        ),
        send("B26 task id", "/echo", to("a/b", ""), PARAMS),
        send("B27 push target", "/echo", webhook("http://127.0.0.1/x"), PARAMS),
        send(
            "B27 user info",
            "/echo",
            webhook("https://a:b@example.com/"),
            PARAMS,
        ),
        send(
            "B5 duplicate key",
            "/echo",
            r#"{"message":{"messageId":"a","message_id":"b"}}"#.into(),
            PARAMS,
        ),
        send(
            "B30 unknown tenant",
            "",
            message("m", "x").replacen('{', r#"{"tenant":"nobody","#, 1),
            (404, -31404, "NOT_FOUND"),
        ),
        send(
            "B30 another tenant",
            "/echo",
            message("m", "x").replacen('{', r#"{"tenant":"plain","#, 1),
            PARAMS,
        ),
    ]
}

fn calls(done: &str) -> Vec<Row> {
    let id = |id: &str| json!({ "id": id }).to_string();
    let task = |suffix: &str| format!("/tasks/{done}{suffix}");
    let of_task = json!({ "taskId": done }).to_string();
    let list = |class, query: &str, params: &str| {
        call(
            class,
            "/echo",
            ("GET", &format!("/tasks?{query}")),
            ("ListTasks", params.into()),
            PARAMS,
        )
    };
    let get = |class, segment: &str, value: &str, answer| {
        call(
            class,
            "/echo",
            ("GET", &format!("/tasks/{segment}")),
            ("GetTask", id(value)),
            answer,
        )
    };
    let long = "x".repeat(10_000);
    let unsupported = (400, -32004, "UNSUPPORTED_OPERATION");
    let no_push = (400, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED");
    let c = "/conformance";
    vec![
        get("B9 get", "nobody", "nobody", MISSING),
        call(
            "B9 cancel",
            c,
            ("POST", "/tasks/nobody:cancel"),
            ("CancelTask", id("nobody")),
            MISSING,
        ),
        call(
            "B9 subscribe",
            c,
            ("POST", "/tasks/nobody:subscribe"),
            ("SubscribeToTask", id("nobody")),
            MISSING,
        ),
        call(
            "B13",
            c,
            ("POST", &task(":cancel")),
            ("CancelTask", id(done)),
            (400, -32002, "TASK_NOT_CANCELABLE"),
        ),
        call(
            "B14",
            c,
            ("GET", &task(":subscribe")),
            ("SubscribeToTask", id(done)),
            unsupported,
        ),
        call(
            "B15 streaming",
            "/plain",
            ("GET", "/tasks/x:subscribe"),
            ("SubscribeToTask", id("x")),
            unsupported,
        ),
        call(
            "B15 push",
            "/plain",
            ("GET", "/tasks/x/pushNotificationConfigs"),
            ("ListTaskPushNotificationConfigs", r#"{"taskId":"x"}"#.into()),
            no_push,
        ),
        call(
            "B15 card",
            "/plain",
            ("GET", "/extendedAgentCard"),
            ("GetExtendedAgentCard", "{}".into()),
            unsupported,
        ),
        call(
            "B15 card not configured",
            c,
            ("GET", "/extendedAgentCard"),
            ("GetExtendedAgentCard", "{}".into()),
            (400, -32007, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
        ),
        call(
            "B9 push config",
            c,
            ("GET", &task("/pushNotificationConfigs/none")),
            (
                "GetTaskPushNotificationConfig",
                of_task.replacen('{', r#"{"id":"none","#, 1),
            ),
            MISSING,
        ),
        list("B22 page size 0", "pageSize=0", r#"{"pageSize":0}"#),
        list("B22 page size 101", "pageSize=101", r#"{"pageSize":101}"#),
        list("B22 page token", "pageToken=abc", r#"{"pageToken":"abc"}"#),
        list(
            "B22 history length",
            "historyLength=-1",
            r#"{"historyLength":-1}"#,
        ),
        list("B6 state", "status=working", r#"{"status":"working"}"#),
        list(
            "B6 time",
            "statusTimestampAfter=now",
            r#"{"statusTimestampAfter":"now"}"#,
        ),
        list("B6 flag", "includeArtifacts=1", r#"{"includeArtifacts":1}"#),
        get("B26 slash", "a%2Fb", "a/b", PARAMS),
        get("B26 dots", "..", "..", PARAMS),
        get("B26 climbing", "..%2f..%2fhealthz", "../../healthz", PARAMS),
        get("B26 NUL", "a%00", "a\0", PARAMS),
        get("B26 long", &long, &long, PARAMS),
        call(
            "B22 history length of a task",
            "/echo",
            ("GET", "/tasks/x?historyLength=-1"),
            ("GetTask", r#"{"id":"x","historyLength":-1}"#.into()),
            PARAMS,
        ),
    ]
}

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

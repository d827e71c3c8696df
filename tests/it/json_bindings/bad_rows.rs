//! The rows of the table of bad input: the same mistake on both bindings, and what it is answered with.

use serde_json::json;

use super::harness::message;

/// The same mistake on both bindings.
pub struct Row {
    pub class: &'static str,
    pub http: (&'static str, String, String),
    pub rpc: (&'static str, &'static str, String),
    pub status: u16,
    pub code: i32,
    pub reason: &'static str,
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

/// Mistakes in a message to send.
pub fn sends(done: &str, waiting: &str) -> Vec<Row> {
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

/// Mistakes in everything else.
pub fn calls(done: &str) -> Vec<Row> {
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

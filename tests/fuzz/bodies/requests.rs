//! Requests of every binding, from the envelope to the answer.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde_json::Value;

use super::world::{Answer, World, post};

/// The body of a call of JSON-RPC, single or a batch.
pub fn json_rpc(input: &[u8]) {
    let answer = World::with(|world| world.answer(post("/", Bytes::copy_from_slice(input))));
    is_safe(&answer);
    if is_stream(&answer) || answer.body.is_empty() {
        return;
    }
    match json(&answer) {
        Value::Array(answers) => answers.iter().for_each(is_json_rpc),
        answer => is_json_rpc(&answer),
    }
}

fn is_json_rpc(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert!(
        answer.get("result").is_some() != answer.get("error").is_some(),
        "{answer}"
    );
    assert_ne!(answer["error"]["code"], -32603, "{answer}");
}

/// A verb (by the first byte), a path with a query up to the end of the line, and a body.
pub fn rest(input: &[u8]) {
    let Some((verb, rest)) = input.split_first() else {
        return;
    };
    let (target, body) = split_line(rest);
    let Ok(uri) = Uri::try_from(target) else { return };
    let mut request = post("/", Bytes::copy_from_slice(body));
    *request.method_mut() = match verb % 5 {
        0 => Method::GET,
        1 => Method::POST,
        2 => Method::DELETE,
        3 => Method::PUT,
        _ => Method::HEAD,
    };
    *request.uri_mut() = uri;
    let is_head = request.method() == Method::HEAD;
    let answer = World::with(|world| world.answer(request));
    is_safe(&answer);
    if answer.status.as_u16() >= 400 && !is_head {
        let told = json(&answer);
        let is_rpc = told["jsonrpc"] == "2.0";
        assert!(
            is_rpc || told["error"]["code"] == answer.status.as_u16(),
            "{answer:?}"
        );
    }
}

/// Lines of a byte, which says the header, and its value; for GetTask by HTTP+JSON and by gRPC.
pub fn headers(input: &[u8]) {
    const NAMES: [&str; 18] = [
        "a2a-version",
        "a2a-extensions",
        "traceparent",
        "tracestate",
        "idempotency-key",
        "last-event-id",
        "a2ad-last-generation",
        "x-request-id",
        "content-type",
        "content-encoding",
        "accept",
        "origin",
        "forwarded",
        "x-forwarded-for",
        "grpc-timeout",
        "if-none-match",
        "a2ad-hops",
        "a2ad-budget",
    ];
    let mut lines = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Some((which, value)) = line.split_first()
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            lines.push((
                HeaderName::from_static(NAMES[usize::from(*which) % NAMES.len()]),
                value,
            ));
        }
    }
    World::with(|world| {
        let mut request = Request::get(format!("/tasks/{}", world.task_id))
            .body(Full::default())
            .expect("a request");
        request.headers_mut().extend(lines.iter().cloned());
        let answer = world.answer(request);
        if !answer.headers.contains_key("grpc-status") {
            is_safe(&answer);
        }
        let mut request = grpc_request("GetTask", Bytes::from_static(&[0; 5]));
        for (name, value) in lines {
            if name != "content-type" {
                request.headers_mut().append(name, value);
            }
        }
        is_grpc(&world.answer(request));
    });
}

/// A token for ListTasks and a cursor for SubscribeToTask: none that was not given out is taken.
pub fn page_token(input: &[u8]) {
    let token: String = input.iter().map(|byte| format!("%{byte:02x}")).collect();
    World::with(|world| {
        let request = Request::get(format!("/tasks?A2A-Version=1.0&pageToken={token}"));
        let answer = world.answer(request.body(Full::default()).expect("a request"));
        is_safe(&answer);
        let expected = if input.is_empty() { 200 } else { 400 };
        assert_eq!(answer.status.as_u16(), expected, "{answer:?}");
        let Ok(cursor) = HeaderValue::from_bytes(input) else {
            return;
        };
        let mut request = post(&format!("/tasks/{}:subscribe", world.task_id), Bytes::new());
        request.headers_mut().insert("last-event-id", cursor);
        is_safe(&world.answer(request));
    });
}

/// A method and whether gzip is announced (by the first byte), a grpc-timeout up to the end of the line, and the bytes
/// of the body with the heads of its frames.
pub fn grpc(input: &[u8]) {
    const METHODS: [&str; 12] = [
        "SendMessage",
        "SendStreamingMessage",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "SubscribeToTask",
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "GetExtendedAgentCard",
        "DeleteTaskPushNotificationConfig",
        "Nothing",
    ];
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    let (timeout, body) = split_line(rest);
    let method = METHODS[usize::from(which & 0x7f) % METHODS.len()];
    let mut request = grpc_request(method, Bytes::copy_from_slice(body));
    if let Ok(timeout) = HeaderValue::from_bytes(timeout)
        && !timeout.is_empty()
    {
        request.headers_mut().insert("grpc-timeout", timeout);
    }
    if which & 0x80 != 0 {
        let gzip = HeaderValue::from_static("gzip");
        request.headers_mut().insert("grpc-encoding", gzip);
    }
    is_grpc(&World::with(|world| world.answer(request)));
}

fn grpc_request(method: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(format!("/lf.a2a.v1.A2AService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .expect("a request")
}

/// The first line, and what follows it.
pub fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// What a stranger sends is never an internal error, and every answer is protected.
pub fn is_safe(answer: &Answer) {
    assert_ne!(answer.status.as_u16(), 500, "{answer:?}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{answer:?}");
    assert!(answer.headers.contains_key("x-frame-options"));
}

fn is_grpc(answer: &Answer) {
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    let status = answer.headers["grpc-status"].to_str().expect("a number");
    let status: u32 = status.parse().expect("a number");
    assert!(status <= 16 && ![2, 13, 15].contains(&status), "{answer:?}");
}

fn is_stream(answer: &Answer) -> bool {
    answer
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "text/event-stream")
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

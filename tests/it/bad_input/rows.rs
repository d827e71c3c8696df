//! The table: what is sent on each binding, and what it is answered with.

use a2ad::pb::part::Content;
use a2ad::pb::{GetExtendedAgentCardRequest, ListTasksRequest, ListValue, Message, Part, Value, value};
use prost::Message as _;

use super::calls::{cancel, config, get, subscribe, to_task};
use super::shot::{Shot, altered};
use crate::support::messages::{message, send, send_of, text};
use crate::support::wire::{Rpc, Wire};

/// What the rows are about.
pub struct Fixture {
    /// A task that is over.
    pub done: String,
    /// A task that waits for its user.
    pub asking: String,
    /// A page token of the agent `conformance`.
    pub token: String,
}

pub enum Cell {
    Shot(Shot, &'static str),
    /// Why there is nothing to be shot.
    NotHere(&'static str),
}

/// A mistake on gRPC, JSON-RPC and HTTP+JSON.
pub struct Row {
    pub name: &'static str,
    pub cells: [Cell; 3],
    /// The request is rightly carried out, so the database does change.
    pub changes: bool,
}

type Answers = [&'static str; 3];

const OK: Answers = ["ok", "ok", "ok"];
const PARAMS: Answers = [
    "3 INVALID_PARAMS",
    "200 -32602 INVALID_PARAMS",
    "400 INVALID_PARAMS",
];
const PARSE: Answers = ["3 PARSE_ERROR", "200 -32700 PARSE_ERROR", "400 PARSE_ERROR"];
const REQUEST: Answers = ["", "200 -32600 INVALID_REQUEST", ""];
const METHOD: Answers = [
    "12 METHOD_NOT_FOUND",
    "200 -32601 METHOD_NOT_FOUND",
    "404 METHOD_NOT_FOUND",
];
const VERB: Answers = ["", "405 METHOD_NOT_ALLOWED", "405 METHOD_NOT_ALLOWED"];
const MISSING: Answers = [
    "5 TASK_NOT_FOUND",
    "200 -32001 TASK_NOT_FOUND",
    "404 TASK_NOT_FOUND",
];
const TENANT: Answers = ["5 NOT_FOUND", "200 -31404 NOT_FOUND", "404 NOT_FOUND"];
const FIXED: Answers = [
    "9 TASK_NOT_CANCELABLE",
    "200 -32002 TASK_NOT_CANCELABLE",
    "400 TASK_NOT_CANCELABLE",
];
const PUSH: Answers = [
    "9 PUSH_NOTIFICATION_NOT_SUPPORTED",
    "200 -32003 PUSH_NOTIFICATION_NOT_SUPPORTED",
    "400 PUSH_NOTIFICATION_NOT_SUPPORTED",
];
const UNSUPPORTED: Answers = [
    "9 UNSUPPORTED_OPERATION",
    "200 -32004 UNSUPPORTED_OPERATION",
    "400 UNSUPPORTED_OPERATION",
];
const CONTENT: Answers = [
    "3 CONTENT_TYPE_NOT_SUPPORTED",
    "200 -32005 CONTENT_TYPE_NOT_SUPPORTED",
    "400 CONTENT_TYPE_NOT_SUPPORTED",
];
const MEDIA: Answers = [
    "3 PARSE_ERROR",
    "415 -32005 CONTENT_TYPE_NOT_SUPPORTED",
    "415 CONTENT_TYPE_NOT_SUPPORTED",
];
const AGENT: Answers = [
    "13 INVALID_AGENT_RESPONSE",
    "200 -32006 INVALID_AGENT_RESPONSE",
    "500 INVALID_AGENT_RESPONSE",
];
const CARD: Answers = [
    "9 EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    "200 -32007 EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    "400 EXTENDED_AGENT_CARD_NOT_CONFIGURED",
];
const EXTENSION: Answers = [
    "9 EXTENSION_SUPPORT_REQUIRED",
    "200 -32008 EXTENSION_SUPPORT_REQUIRED",
    "400 EXTENSION_SUPPORT_REQUIRED",
];
const VERSION: Answers = [
    "9 VERSION_NOT_SUPPORTED",
    "200 -32009 VERSION_NOT_SUPPORTED",
    "400 VERSION_NOT_SUPPORTED",
];
const LARGE: Answers = [
    "8 RESOURCE_EXHAUSTED",
    "413 -32600 RESOURCE_EXHAUSTED",
    "413 RESOURCE_EXHAUSTED",
];

/// The same message on all bindings.
fn typed<R: Rpc + prost::Message>(name: &'static str, message: R, answers: Answers) -> Row {
    made(name, |wire| Ok(Shot::typed(&message, wire)), answers)
}

/// What `shot` makes of each binding, or why it doesn't.
fn made(name: &'static str, shot: impl Fn(Wire) -> Result<Shot, &'static str>, answers: Answers) -> Row {
    let cell = |wire: Wire| match shot(wire) {
        Ok(shot) => Cell::Shot(shot, answers[wire as usize]),
        Err(why) => Cell::NotHere(why),
    };
    Row {
        name,
        cells: Wire::ALL.map(cell),
        changes: false,
    }
}

/// Params of SendMessage that only JSON can say.
fn json_only(name: &'static str, params: String, why: &'static str, answers: Answers) -> Row {
    let shot = |wire| match wire {
        Wire::Grpc => Err(why),
        _ => Ok(Shot::json("SendMessage", "/message:send", &params, wire)),
    };
    made(name, shot, answers)
}

fn nowhere(name: &'static str, why: &'static str) -> Row {
    made(name, |_| Err(why), ["", "", ""])
}

pub fn all(fixture: &Fixture) -> Vec<Row> {
    let mut rows = envelopes();
    rows.extend(messages());
    rows.extend(tasks(fixture));
    rows.extend(capabilities());
    rows.extend(headers());
    rows.extend(sizes());
    rows.extend(later());
    rows
}

/// B1 to B4: what is no call at all.
fn envelopes() -> Vec<Row> {
    const ENVELOPE: &str = "the binding has no envelope of its own";
    let envelope = |name, body: &'static str| {
        let shot = move |wire| {
            if wire == Wire::JsonRpc {
                Ok(Shot::rpc(body))
            } else {
                Err(ENVELOPE)
            }
        };
        made(name, shot, REQUEST)
    };
    let broken = |wire| {
        Ok(match wire {
            Wire::Grpc => Shot::grpc("SendMessage", &[0xff, 0xff, 0xff]),
            Wire::JsonRpc => Shot::rpc("{"),
            Wire::HttpJson => Shot::of("POST", "/message:send", "{"),
        })
    };
    let unknown = |wire| {
        Ok(match wire {
            Wire::Grpc => Shot::grpc("Nothing", b""),
            Wire::JsonRpc => Shot::rpc(r#"{"jsonrpc":"2.0","id":7,"method":"Nothing"}"#),
            Wire::HttpJson => Shot::of("GET", "/nothing", ""),
        })
    };
    let verb = |wire| match wire {
        Wire::Grpc => Err("gRPC knows POST only"),
        Wire::JsonRpc => Ok(Shot::of("GET", "/", "")),
        Wire::HttpJson => Ok(Shot::of("GET", "/message:send", "")),
    };
    // The answer to a wrong verb has no JSON-RPC form: there was no call.
    let mut wrong_verb = made("B4 verb", verb, VERB);
    if let [_, Cell::Shot(_, expected), _] = &mut wrong_verb.cells {
        *expected = "405 405 no reason";
    }
    vec![
        made("B1 malformed", broken, PARSE),
        envelope("B2 not an object", "1"),
        envelope("B2 no members", "{}"),
        envelope("B2 an empty batch", "[]"),
        envelope(
            "B2 another version",
            r#"{"jsonrpc":"1.0","id":7,"method":"ListTasks"}"#,
        ),
        made("B3 unknown method", unknown, METHOD),
        wrong_verb,
    ]
}

/// B5 to B8, B17, B25: what is inside a message.
fn messages() -> Vec<Row> {
    const TYPES: &str = "the generated code can't put another type there";
    let of_parts = |parts: Vec<Part>| {
        send_of(
            "echo",
            Message {
                parts,
                ..message("m", "")
            },
        )
    };
    let typed_part = Part {
        media_type: "audio/ogg".to_owned(),
        ..text("x")
    };
    let role = send_of(
        "echo",
        Message {
            role: 99,
            ..message("m", "x")
        },
    );
    let plain = send("echo", "m", "x");
    let extra = |wire| {
        let mut bytes = send("echo", "m", "x").encode_to_vec();
        bytes.extend_from_slice(&[0xf8, 0x3e, 0x01]);
        let json = altered(&send("echo", "m", "x"), "{", r#"{"later":{"a":[1]},"#);
        Ok(match wire {
            Wire::Grpc => Shot::grpc("SendMessage", &bytes),
            _ => Shot::json("SendMessage", "/message:send", &json, wire),
        })
    };
    let utf8 = |wire| match wire {
        Wire::Grpc => {
            let mut bytes = send("echo", "m", "MARK").encode_to_vec();
            let at = bytes.windows(4).position(|four| four == b"MARK").unwrap();
            bytes[at] = 0xff;
            Ok(Shot::grpc("SendMessage", &bytes))
        }
        Wire::JsonRpc => Ok(Shot::rpc(
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\"}".to_vec(),
        )),
        Wire::HttpJson => Ok(Shot::of(
            "POST",
            "/message:send",
            b"{\"message\":{\"messageId\":\"\xff\"}}".to_vec(),
        )),
    };
    vec![
        typed("B5 no message", a2ad::pb::SendMessageRequest::default(), PARAMS),
        typed("B5 no parts", of_parts(Vec::new()), PARAMS),
        typed("B5 no message id", send("echo", "", "x"), PARAMS),
        typed("B6 unknown role", role, PARAMS),
        json_only(
            "B6 a number for a text",
            altered(&plain, r#""m""#, "7"),
            TYPES,
            PARAMS,
        ),
        json_only(
            "B6 a list for an object",
            r#"{"message":[]}"#.to_owned(),
            TYPES,
            PARAMS,
        ),
        json_only(
            "B6 an unknown name",
            altered(&plain, "ROLE_USER", "ROLE_X"),
            TYPES,
            PARAMS,
        ),
        json_only(
            "B6 a key twice",
            altered(&plain, "{", r#"{"tenant":"echo","#),
            "the last one wins",
            PARAMS,
        ),
        typed("B7 a part of nothing", of_parts(vec![Part::default()]), PARAMS),
        json_only(
            "B7 a part of two things",
            altered(&plain, r#""text""#, r#""url":"a","text""#),
            "the last one wins",
            PARAMS,
        ),
        Row {
            changes: true,
            ..made("B8 unknown field", extra, OK)
        },
        typed(
            "B17 input",
            send_of(
                "conformance",
                Message {
                    parts: vec![typed_part],
                    ..message("m", "")
                },
            ),
            CONTENT,
        ),
        typed(
            "B17 output",
            crate::support::messages::configured(send("conformance", "m", "x"), |configuration| {
                configuration.accepted_output_modes = vec!["audio/ogg".to_owned()];
            }),
            CONTENT,
        ),
        typed("B25 NUL", send("echo", "m", "a\0b"), PARAMS),
        made("B25 invalid UTF-8", utf8, PARSE),
        json_only(
            "B25 half a character",
            altered(&plain, r#""x""#, r#""\ud800""#),
            "UTF-8 has no halves of characters",
            PARSE,
        ),
    ]
}

/// B9 to B14, B22, B26 to B28: tasks, pages and webhooks.
fn tasks(fixture: &Fixture) -> Vec<Row> {
    let Fixture { done, asking, token } = fixture;
    let c = "conformance";
    let list = |change: &dyn Fn(&mut ListTasksRequest)| {
        let mut request = ListTasksRequest {
            tenant: c.to_owned(),
            ..ListTasksRequest::default()
        };
        change(&mut request);
        request
    };
    let secret = |token: &str| a2ad::pb::TaskPushNotificationConfig {
        token: token.to_owned(),
        ..config(c, done, "https://example.com/")
    };
    let url = |url: &str| config(c, done, url);
    let tampered = format!("{}A", &token[..token.len() - 1]);
    let long = "x".repeat(10_000);
    let mut rows = vec![
        typed("B9 get", get(c, "nobody"), MISSING),
        typed("B9 cancel", cancel(c, "nobody"), MISSING),
        typed(
            "B9 a task of the client's making",
            to_task(c, "mine", ""),
            MISSING,
        ),
        made("B9 subscribe", |wire| Ok(subscribe(c, "nobody", wire)), MISSING),
        typed("B10 another scope", get("echo", done), MISSING),
        typed("B11 terminal", to_task(c, done, ""), UNSUPPORTED),
        typed("B12 another context", to_task(c, asking, "another"), PARAMS),
        typed("B13 cancel", cancel(c, done), FIXED),
        made("B14 subscribe", |wire| Ok(subscribe(c, done, wire)), UNSUPPORTED),
        typed("B22 size 0", list(&|request| request.page_size = Some(0)), PARAMS),
        typed(
            "B22 size 101",
            list(&|request| request.page_size = Some(101)),
            PARAMS,
        ),
        typed(
            "B22 history",
            list(&|request| request.history_length = Some(-1)),
            PARAMS,
        ),
        typed(
            "B22 token",
            list(&|request| request.page_token.clone_from(&tampered)),
            PARAMS,
        ),
        typed(
            "B22 another scope's token",
            ListTasksRequest {
                page_token: token.clone(),
                page_size: Some(1),
                tenant: "echo".to_owned(),
                ..ListTasksRequest::default()
            },
            PARAMS,
        ),
        typed("B27 not https", url("http://example.com/"), PARAMS),
        typed("B27 loopback", url("https://127.0.0.1/"), PARAMS),
        typed("B27 mapped", url("https://[::ffff:10.0.0.1]/"), PARAMS),
        typed("B27 metadata", url("https://169.254.169.254/latest"), PARAMS),
        typed("B27 user information", url("https://a:b@example.com/"), PARAMS),
        typed("B28 token", secret("a\r\nx-evil: 1"), PARAMS),
        typed("B28 id", send("echo", "a\r\nb", "x"), PARAMS),
    ];
    for id in [
        "a/b",
        "..",
        "../../healthz",
        "a\0",
        "a%2Fb",
        "a b",
        "ä",
        long.as_str(),
    ] {
        rows.push(typed("B26 id", get(c, id), PARAMS));
        rows.push(typed("B26 id to cancel", cancel(c, id), PARAMS));
    }
    rows
}

/// B15, B18, B31, and tenants.
fn capabilities() -> Vec<Row> {
    let card = |agent: &str| GetExtendedAgentCardRequest {
        tenant: agent.to_owned(),
    };
    let at_echo = |wire| match wire {
        Wire::Grpc => Err("a gRPC path names no agent"),
        Wire::JsonRpc => Ok(Shot::of("POST", "/echo", envelope_of_plain())),
        Wire::HttpJson => Ok(Shot::of("GET", "/echo/tasks?tenant=plain", "")),
    };
    vec![
        typed("B15 push", config("plain", "x", "https://example.com/"), PUSH),
        made(
            "B15 streaming",
            |wire| Ok(subscribe("plain", "x", wire)),
            UNSUPPORTED,
        ),
        typed("B15 card not declared", card("plain"), UNSUPPORTED),
        typed("B15 card not configured", card("promising"), CARD),
        typed("B18 extension", send("strict", "m", "x"), EXTENSION),
        typed("B30 unknown tenant", send("nobody", "m", "x"), TENANT),
        made("B30 two tenants", at_echo, PARAMS),
        Row {
            changes: true,
            ..typed("B31 broken agent", send("puppet", "m", "broken"), AGENT)
        },
    ]
}

fn envelope_of_plain() -> String {
    r#"{"jsonrpc":"2.0","id":7,"method":"ListTasks","params":{"tenant":"plain"}}"#.to_owned()
}

/// B16 and B19: what stands in the head.
fn headers() -> Vec<Row> {
    let plain = |wire| Shot::typed(&send("echo", "m", "x"), wire);
    let typed_as = |kind: &'static str, grpc: &'static str| {
        move |wire| match wire {
            Wire::Grpc => Ok(Shot::grpc("SendMessage", br#"{"message":{}}"#).with("content-type", grpc)),
            _ => Ok(plain(wire).with("content-type", kind)),
        }
    };
    let version = |version: &'static str| move |wire| Ok(plain(wire).with("a2a-version", version));
    let none = |wire| match wire {
        Wire::Grpc => Err("the package name says 1.0"),
        _ => Ok(plain(wire).without("a2a-version")),
    };
    vec![
        made(
            "B16 media type",
            typed_as("text/plain", "application/grpc+json"),
            MEDIA,
        ),
        made(
            "B16 charset",
            typed_as("application/json; charset=utf-16", "application/grpc+json"),
            MEDIA,
        ),
        made(
            "B16 version twice",
            |wire| Ok(plain(wire).also("a2a-version", "1.0")),
            PARAMS,
        ),
        made(
            "B16 key twice",
            |wire| {
                Ok(plain(wire)
                    .also("idempotency-key", "a")
                    .also("idempotency-key", "b"))
            },
            PARAMS,
        ),
        made("B19 empty", version(""), VERSION),
        made("B19 old", version("0.3"), VERSION),
        made("B19 new", version("2.0"), VERSION),
        made("B19 none", none, VERSION),
    ]
}

/// B23 and B24.
fn sizes() -> Vec<Row> {
    let value = |kind| Value { kind: Some(kind) };
    let nested = |depth: usize| {
        (0..depth).fold(value(value::Kind::BoolValue(true)), |inner, _| {
            value(value::Kind::ListValue(ListValue { values: vec![inner] }))
        })
    };
    let of_parts = |parts: Vec<Part>| {
        send_of(
            "echo",
            Message {
                parts,
                ..message("m", "")
            },
        )
    };
    let data = |value| {
        of_parts(vec![Part {
            content: Some(Content::Data(value)),
            ..Part::default()
        }])
    };
    let mut beyond = typed("B24 beyond what prost reads", data(nested(60)), PARAMS);
    if let Cell::Shot(_, expected) = &mut beyond.cells[0] {
        *expected = "3 PARSE_ERROR";
    }
    vec![
        typed("B23 body", send("echo", "m", &"x".repeat(100 << 10)), LARGE),
        typed("B23 part", send("echo", "m", &"x".repeat(33 << 10)), LARGE),
        typed("B24 depth", data(nested(25)), PARAMS),
        typed("B24 parts", of_parts(vec![text("x"); 1_025]), PARAMS),
        beyond,
    ]
}

/// What this build has no way into, and what is shown elsewhere.
fn later() -> Vec<Row> {
    vec![
        nowhere(
            "B20 credentials",
            "there is no authentication but certificates, which the handshake refuses",
        ),
        nowhere("B21 scopes", "nobody has scopes yet"),
        nowhere(
            "B29 rates",
            "rates are not limited yet; executions and streams are, in protocol::limits",
        ),
        nowhere(
            "B32 shutting down",
            "protocol::draining shows it; the engine's fault tests have the database",
        ),
    ]
}

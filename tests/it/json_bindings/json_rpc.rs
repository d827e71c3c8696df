//! JSON-RPC 2.0 as such: ids, notifications, batches.

use a2ad::api::ApiSettings;
use serde_json::{Value, json};

use super::harness::{World, message, request};

fn call(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

async fn count(world: &World) -> usize {
    let listed = world.rpc("/rpc", "ListTasks", "{}").await.json();
    listed["result"]["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn every_path_and_spelling() {
    let world = World::new().await;
    for path in ["/", "/rpc", "/rpc/", "/echo", "/echo/", "/conformance/"] {
        let reply = world.rpc(path, "SendMessage", &message("m", "x")).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, "application/json")
        );
        assert_eq!(
            reply.json()["result"]["task"]["status"]["state"],
            "TASK_STATE_COMPLETED",
            "{path}"
        );
    }
    let snake = r#"{"message":{"message_id":"m","role":"ROLE_USER","parts":[{"text":"x","media_type":"text/plain"}]}}"#;
    assert!(world.rpc("/", "SendMessage", snake).await.json()["result"]["task"].is_object());
    let tenant = message("m", "x").replacen('{', r#"{"tenant":"plain","#, 1);
    assert!(world.rpc("/", "SendMessage", &tenant).await.json()["result"]["task"].is_object());
}

#[tokio::test]
async fn ids_come_back_exactly() {
    let world = World::new().await;
    for id in [
        "1",
        "-0",
        "1.50",
        "1E3",
        "98765432109876543210987654321",
        r#""a\u0041é\"""#,
        r#""""#,
        "null",
    ] {
        for method in ["ListTasks", "NoSuchMethod", "GetTask"] {
            let reply = world.http("POST", "/", &call(id, method, "{}")).await;
            let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"#);
            assert!(reply.body.starts_with(&start), "{}", reply.body);
        }
        let stream = world
            .http("POST", "/", &call(id, "SendStreamingMessage", &message("m", "x")))
            .await;
        assert!(
            stream
                .body
                .contains(&format!(r#"data: {{"jsonrpc":"2.0","id":{id},"result":"#))
        );
    }
}

#[tokio::test]
async fn methods_and_params() {
    let world = World::new().await;
    let code = |reply: super::harness::Reply| (reply.status, reply.json()["error"]["code"].as_i64().unwrap());
    assert_eq!(code(world.rpc("/", "message/send", "{}").await), (200, -32601));
    assert_eq!(code(world.rpc("/", "ListTasks", "[]").await), (200, -32602));
    assert_eq!(code(world.rpc("/", "ListTasks", "null").await), (200, -32602));
    assert_eq!(code(world.http("POST", "/", "7").await), (200, -32600));
    let bare = world
        .http("POST", "/", r#"{"jsonrpc":"2.0","id":1,"method":"ListTasks"}"#)
        .await;
    assert_eq!(bare.json()["result"]["nextPageToken"], "");
}

#[tokio::test]
async fn notifications_are_executed_and_not_answered() {
    let world = World::new().await;
    for (body, tasks) in [
        (notification("SendMessage", &message("m", "x")), 1),
        (notification("SendStreamingMessage", &message("m", "x")), 2),
        (notification("SubscribeToTask", "{}"), 2),
        (notification("NoSuchMethod", "{}"), 2),
        (notification("SendMessage", "{}"), 2),
    ] {
        let reply = world.http("POST", "/", &body).await;
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.header("content-type")),
            (204, "", ""),
            "{body}"
        );
        assert_eq!(count(&world).await, tasks, "{body}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let world = World::new().await;
    let entries = [
        call("1", "SendMessage", &message("m", "x")),
        notification("SendMessage", &message("n", "x")),
        call(r#""two""#, "NoSuchMethod", "{}"),
        "7".to_owned(),
        call("3", "SendStreamingMessage", &message("m", "x")),
        "[]".to_owned(),
        call("4.0", "ListTasks", r#"{"pageSize":0}"#),
    ];
    let reply = world.http("POST", "/", &format!("[{}]", entries.join(","))).await;
    assert_eq!(reply.status, 200);
    let json = reply.json();
    let seen: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].clone(), one["error"]["code"].as_i64()))
        .collect();
    let expected: Vec<(Value, Option<i64>)> = vec![
        (json!(1), None),
        (json!("two"), Some(-32601)),
        (json!(null), Some(-32600)),
        (json!(3), Some(-32600)),
        (json!(null), Some(-32600)),
        (json!(4.0), Some(-32602)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(count(&world).await, 2);
}

#[tokio::test]
async fn batches_that_are_empty_silent_or_too_long() {
    let settings = ApiSettings {
        batch_requests_max: 3,
        ..ApiSettings::default()
    };
    let world = World::with(settings).await;
    let empty = world.http("POST", "/", "[]").await;
    assert_eq!(
        (empty.status, empty.json()["error"]["code"].as_i64()),
        (200, Some(-32600))
    );
    let silent = vec![notification("SendMessage", &message("m", "x")); 3].join(",");
    let silent = world.http("POST", "/", &format!("[{silent}]")).await;
    assert_eq!((silent.status, silent.body.as_str()), (204, ""));
    let long = vec![notification("SendMessage", &message("m", "x")); 4].join(",");
    let long = world.send(request("POST", "/", &format!("[{long}]"))).await;
    assert_eq!(
        (long.status, long.json()["error"]["code"].as_i64()),
        (413, Some(-32600))
    );
    assert_eq!(count(&world).await, 3);
}

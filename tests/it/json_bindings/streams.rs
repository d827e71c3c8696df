//! Streams on both bindings: what opens them, what is in them, and how a reader goes on where it stopped.

use std::time::Duration;

use a2ad::api::ApiSettings;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::harness::{Reply, World, event, message, request, with};

/// What an event is and which state it names.
fn kind(response: &Value) -> String {
    let (name, payload) = response.as_object().unwrap().iter().next().unwrap();
    let state = payload["status"]["state"].as_str().unwrap_or_default();
    format!("{name} {}", state.trim_start_matches("TASK_STATE_"))
        .trim_end()
        .to_owned()
}

fn results(reply: &Reply) -> Vec<(u64, Value)> {
    let unwrap = |(id, response): (u64, Value)| {
        assert_eq!(
            (&response["jsonrpc"], &response["id"]),
            (&json!("2.0"), &json!(1))
        );
        (id, response["result"].clone())
    };
    reply.events().into_iter().map(unwrap).collect()
}

#[tokio::test]
async fn both_bindings_stream_the_same_events() {
    let world = World::new().await;
    let body = message("tck-stream-001", "x");
    let http = world.http("POST", "/conformance/message:stream", &body).await;
    let rpc = world.rpc("/conformance", "SendStreamingMessage", &body).await;
    for (reply, events) in [(&http, http.events()), (&rpc, results(&rpc))] {
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-accel-buffering"), "no");
        let kinds: Vec<_> = events.iter().map(|(_, response)| kind(response)).collect();
        assert_eq!(
            kinds.first().map(String::as_str),
            Some("task SUBMITTED"),
            "{kinds:?}"
        );
        assert_eq!(
            kinds[kinds.len() - 3..],
            ["statusUpdate WORKING", "artifactUpdate", "statusUpdate COMPLETED"]
        );
        let ids: Vec<_> = events.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_direct_message_has_no_id_to_resume_behind() {
    let world = World::new().await;
    let body = message("tck-message-response", "x");
    let events = world
        .http("POST", "/conformance/message:stream", &body)
        .await
        .events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].0, kind(&events[0].1).as_str()), (0, "message"));
}

#[tokio::test]
async fn a_stream_that_cannot_start_is_a_plain_error() {
    let world = World::new().await;
    let http = world
        .http("POST", "/plain/message:stream", &message("m", "x"))
        .await;
    assert_eq!(
        (http.status, http.header("content-type")),
        (400, "application/json")
    );
    assert_eq!(http.reason(), "UNSUPPORTED_OPERATION");
    let rpc = world
        .rpc("/plain", "SendStreamingMessage", &message("m", "x"))
        .await;
    assert_eq!(
        (rpc.status, rpc.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(rpc.reason(), "UNSUPPORTED_OPERATION");
}

/// Reads a stream until `count` events have come, without waiting for its end.
async fn first(
    world: &World,
    asked: http::Request<http_body_util::Full<bytes::Bytes>>,
    count: usize,
) -> Vec<(u64, Value)> {
    let mut body = world.respond(asked).await.into_body();
    let mut text = String::new();
    loop {
        let events: Vec<_> = text.split_terminator("\n\n").filter_map(event).collect();
        if events.len() >= count {
            return events;
        }
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        let frame = frame.expect("an event in time").expect("no end yet").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_reader_goes_on_behind_the_last_id_it_saw() {
    let world = World::new().await;
    let task = world.task("conformance", "tck-input-required").await;
    let path = format!("/conformance/tasks/{}:subscribe", task["id"].as_str().unwrap());
    for verb in ["GET", "POST"] {
        let opening = first(&world, request(verb, &path, ""), 1).await;
        assert_eq!(kind(&opening[0].1), "task INPUT_REQUIRED");
    }
    let resumed = first(&world, with(request("GET", &path, ""), "last-event-id", "1"), 1).await;
    assert_eq!(resumed[0].0, 2);
    assert!(kind(&resumed[0].1).starts_with("statusUpdate"), "{resumed:?}");
    let params = json!({"id": task["id"]});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": params}).to_string();
    let rpc = first(
        &world,
        with(request("POST", "/conformance", &body), "last-event-id", "1"),
        1,
    )
    .await;
    assert_eq!(rpc[0].1["result"], resumed[0].1);
}

#[tokio::test]
async fn quiet_streams_live_and_end_with_the_shutdown() {
    let settings = ApiSettings {
        sse_keepalive: Duration::from_millis(10),
        ..ApiSettings::default()
    };
    let world = World::with(settings).await;
    let task = world.task("conformance", "tck-input-required").await;
    let path = format!("/conformance/tasks/{}:subscribe", task["id"].as_str().unwrap());
    let mut body = world.respond(request("GET", &path, "")).await.into_body();
    let mut text = String::new();
    while !text.contains(": keep-alive\n\n") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    world.shutdown.drain();
    let rest = body.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8(rest.to_vec()).unwrap();
    let (_, last) = rest.split_terminator("\n\n").filter_map(event).last().unwrap();
    assert_eq!(last["error"]["status"], "UNAVAILABLE");
    assert!(
        last["error"]["details"][0]["metadata"]["lastGeneration"].is_string(),
        "{last}"
    );
}

//! Send Message: waiting, direct messages, repetitions, and media types.

use a2ad::config::{AgentConfig, Idempotency};
use a2ad::error::Kind;
use a2ad::pb::part::Content;
use a2ad::pb::send_message_response::Payload;
use a2ad::pb::{ListTasksRequest, Part, SendMessageRequest, Struct, TaskState, Value, value};
use futures_util::future::join_all;

use crate::support::engine::eventually;
use crate::support::messages::{
    Event, at_once, configured, history, label, message, send, send_of, state, task,
};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    a_send_waits_for_the_end,
    a_send_may_return_at_once,
    a_send_waits_no_longer_than_the_operator_allows,
    an_answer_may_be_a_message,
    a_key_makes_a_send_once,
    a_key_stands_for_one_request,
    duplicates_at_once_are_one,
    an_agent_may_take_message_ids_for_keys,
    media_types_are_negotiated,
    an_agent_that_breaks_the_protocol_is_told_as_such,
);

async fn tasks(client: &TestClient, agent: &str) -> i32 {
    let request = ListTasksRequest {
        tenant: agent.to_owned(),
        ..ListTasksRequest::default()
    };
    client.call(request).await.unwrap().total_size
}

async fn a_send_waits_for_the_end(wire: Wire) {
    let world = World::new().await;
    let done = task(
        world
            .client(wire)
            .call(send("conformance", "tck-artifact-text", "x"))
            .await
            .unwrap(),
    );
    assert_eq!(state(&done), TaskState::Completed);
    assert_eq!(
        (history(&done), done.artifacts.len()),
        (vec!["tck-artifact-text"], 1)
    );
}

async fn a_send_may_return_at_once(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    assert!(
        matches!(state(&begun), TaskState::Submitted | TaskState::Working),
        "{begun:?}"
    );
}

async fn a_send_waits_no_longer_than_the_operator_allows(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.limits.blocking_wait_ms_max = 20)
        .start()
        .await;
    let client = world.client(wire);
    client
        .call(send("puppet", "m", "hold"))
        .await
        .unwrap_err()
        .is(Kind::DeadlineExceeded);
    // The task goes on; on a busy machine its first commit may still be under way.
    eventually(async || tasks(&client, "puppet").await == 1).await;
}

async fn an_answer_may_be_a_message(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let answer = client
        .call(send_of("conformance", message("tck-message-response", "x")))
        .await;
    let Some(Payload::Message(said)) = answer.unwrap().payload else {
        panic!("not a message")
    };
    assert_eq!((said.task_id.as_str(), said.context_id.is_empty()), ("", false));
    assert_eq!(tasks(&client, "conformance").await, 0);
}

/// The two places that a key may stand in.
fn keyed(
    client: &TestClient,
    request: SendMessageRequest,
    key: &str,
) -> [(TestClient, SendMessageRequest); 2] {
    let kind = Some(value::Kind::StringValue(key.to_owned()));
    let fields = [("idempotency-key".to_owned(), Value { kind })].into();
    let in_metadata = SendMessageRequest {
        metadata: Some(Struct { fields }),
        ..request.clone()
    };
    [
        (client.clone().with("idempotency-key", key), request),
        (client.clone(), in_metadata),
    ]
}

async fn a_key_makes_a_send_once(wire: Wire) {
    let world = World::new().await;
    let plain = world.client(wire);
    let mut ids = Vec::new();
    world.puppet.allow(1);
    for (client, request) in keyed(&plain, send("puppet", "m", "hold"), "key-1") {
        ids.push(task(client.call(request.clone()).await.unwrap()).id);
        ids.push(task(client.call(at_once(request.clone())).await.unwrap()).id);
        let events = client.stream(request).await.unwrap().all().await;
        let Event::Task(first) = &events[0].1 else {
            panic!("the task comes first")
        };
        ids.push(first.id.clone());
        assert_eq!(
            (events[0].0, label(&events.last().unwrap().1)),
            (1, "COMPLETED".to_owned())
        );
    }
    ids.dedup();
    assert_eq!((ids.len(), world.puppet.runs()), (1, 1));
    // Without a key the same message is a new one.
    world.puppet.allow(1);
    plain.call(send("puppet", "m", "hold")).await.unwrap();
    assert_eq!((tasks(&plain, "puppet").await, world.puppet.runs()), (2, 2));
}

async fn a_key_stands_for_one_request(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let first = task(
        client
            .clone()
            .with("idempotency-key", "k")
            .call(send("echo", "m", "one"))
            .await
            .unwrap(),
    );
    for (client, request) in keyed(&client, send("echo", "m", "two"), "k") {
        let error = client.call(request.clone()).await.unwrap_err().is(Kind::Conflict);
        assert_eq!(error.metadata["taskId"], first.id);
        client.stream(request).await.err().unwrap().is(Kind::Conflict);
    }
    for key in ["", &"x".repeat(129)] {
        for (client, request) in keyed(&client, send("echo", "m", "one"), key) {
            client.call(request).await.unwrap_err().is(Kind::InvalidParams);
        }
    }
    assert_eq!(tasks(&client, "echo").await, 1);
}

async fn duplicates_at_once_are_one(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire).with("idempotency-key", "k");
    world.puppet.allow(1);
    let sends = (0..8).map(|_| client.call(send("puppet", "m", "hold")));
    let mut ids: Vec<String> = join_all(sends)
        .await
        .into_iter()
        .map(|sent| task(sent.unwrap()).id)
        .collect();
    ids.dedup();
    assert_eq!((ids.len(), world.puppet.runs()), (1, 1));
}

async fn an_agent_may_take_message_ids_for_keys(wire: Wire) {
    let by_message = AgentConfig {
        idempotency: Idempotency::MessageId,
        ..AgentConfig::default()
    };
    let scenario = Scenario::new().set(|config| {
        config.agents.insert("echo".to_owned(), by_message);
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    let first = task(client.call(send("echo", "m", "x")).await.unwrap());
    let again = task(client.call(send("echo", "m", "x")).await.unwrap());
    assert_eq!(first.id, again.id);
    client
        .call(send("echo", "m", "y"))
        .await
        .unwrap_err()
        .is(Kind::Conflict);
}

async fn media_types_are_negotiated(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let accepting = |modes: &[&str]| {
        configured(send("conformance", "tck-complete-task", "x"), |configuration| {
            configuration.accepted_output_modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
        })
    };
    for good in [
        &["text/plain"][..],
        &["image/png", "application/*"],
        &["*/*"],
        &["Text/Plain; charset=utf-8"],
    ] {
        client.call(accepting(good)).await.unwrap();
    }
    let error = client
        .call(accepting(&["image/png", "video/mp4"]))
        .await
        .unwrap_err();
    assert_eq!(
        error.is(Kind::ContentTypeNotSupported).metadata["mediaType"],
        "image/png, video/mp4"
    );
    let typed = |media_type: &str| {
        let content = Some(Content::Raw(vec![1, 2].into()));
        let part = Part {
            media_type: media_type.to_owned(),
            content,
            ..Part::default()
        };
        let mut message = message("tck-complete-task", "x");
        message.parts.push(part);
        send_of("conformance", message)
    };
    for good in ["", "image/png", "IMAGE/PNG"] {
        client.call(typed(good)).await.unwrap();
    }
    let error = client
        .call(typed("audio/ogg"))
        .await
        .unwrap_err()
        .is(Kind::ContentTypeNotSupported);
    assert_eq!(error.metadata["field"], "message.parts[1].mediaType");
}

async fn an_agent_that_breaks_the_protocol_is_told_as_such(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let error = client
        .call(send("puppet", "m", "broken"))
        .await
        .unwrap_err()
        .is(Kind::InvalidAgentResponse);
    let request = crate::support::messages::get("puppet", &error.metadata["taskId"]);
    assert_eq!(state(&client.call(request).await.unwrap()), TaskState::Failed);
    let events = client
        .stream(send("puppet", "m", "broken"))
        .await
        .unwrap()
        .all()
        .await;
    assert_eq!(label(&events.last().unwrap().1), "FAILED");
}

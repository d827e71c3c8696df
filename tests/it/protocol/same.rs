//! The same request gives the same result on three bindings: one table, compared with ids and times taken out.

use a2ad::pb::{
    CancelTaskRequest, GetExtendedAgentCardRequest, ListTasksRequest, Message, Part, StreamResponse, Struct,
    Value, part::Content, value,
};

use crate::support::messages::{
    at_once, get, message, normalised, reply, send, send_of, subscribe, task, text,
};
use crate::support::wire::{TestClient, Wire};
use crate::support::world::World;

/// Sends that end by themselves: (agent, message id, text).
const SENDS: [(&str, &str, &str); 15] = [
    ("echo", "m1", "hello"),
    ("echo", "m2", "ünïcödé \u{1f980} \"quoted\" \\ \n\t"),
    ("conformance", "tck-complete-task", "x"),
    ("conformance", "tck-input-required", "x"),
    ("conformance", "tck-multi-turn", "x"),
    ("conformance", "tck-auth-required", "x"),
    ("conformance", "tck-reject-task", "x"),
    ("conformance", "tck-task-failure", "x"),
    ("conformance", "tck-message-response", "x"),
    ("conformance", "tck-artifact-text", "x"),
    ("conformance", "tck-artifact-file", "x"),
    ("conformance", "tck-artifact-file-url", "x"),
    ("conformance", "tck-artifact-data", "x"),
    ("conformance", "tck-stream-chunked", "x"),
    ("conformance", "no such script", "x"),
];

/// What a caller of one binding sees of it all, one line per call.
async fn everything(client: &TestClient) -> Vec<String> {
    let mut seen = Vec::new();
    for (agent, id, said) in SENDS {
        let answer = client.call(send(agent, id, said)).await.unwrap();
        seen.push(format!("{agent} {id}: {}", normalised(&answer)));
    }
    for (agent, id, said) in SENDS.into_iter().filter(|(_, id, _)| !asks(id)) {
        let events = client.stream(send(agent, id, said)).await.unwrap().all().await;
        for (generation, payload) in events {
            let event = normalised(&StreamResponse {
                payload: Some(payload),
            });
            seen.push(format!("{agent} {id} stream: {generation} {event}"));
        }
    }
    seen.push(format!(
        "parts: {}",
        normalised(&client.call(send_of("echo", every_part())).await.unwrap())
    ));
    seen.extend(one_task(client).await);
    let card = client
        .call(GetExtendedAgentCardRequest {
            tenant: "conformance".to_owned(),
        })
        .await
        .unwrap();
    seen.push(normalised(&card));
    for agent in ["echo", "conformance"] {
        let request = ListTasksRequest {
            tenant: agent.to_owned(),
            include_artifacts: Some(true),
            page_size: Some(100),
            ..ListTasksRequest::default()
        };
        seen.push(format!(
            "list {agent}: {}",
            normalised(&client.call(request).await.unwrap())
        ));
    }
    seen
}

/// Such a stream stays open until somebody answers.
fn asks(id: &str) -> bool {
    ["tck-input-required", "tck-multi-turn", "tck-auth-required"].contains(&id)
}

/// A task from its first message to its cancellation.
async fn one_task(client: &TestClient) -> Vec<String> {
    let begun = task(
        client
            .call(send("conformance", "tck-multi-turn", "x"))
            .await
            .unwrap(),
    );
    let more = client
        .call(reply("conformance", &begun, "m2", "more"))
        .await
        .unwrap();
    let mut reader = client.stream(subscribe("conformance", &begun.id)).await.unwrap();
    let (generation, first) = reader.event().await;
    let cancel = CancelTaskRequest {
        tenant: "conformance".to_owned(),
        id: begun.id.clone(),
        metadata: None,
    };
    let canceled = client.call(cancel).await.unwrap();
    let rest = reader.all().await;
    let got = client.call(get("conformance", &begun.id)).await.unwrap();
    vec![
        normalised(&begun),
        normalised(&more),
        format!(
            "{generation} {}",
            normalised(&StreamResponse { payload: Some(first) })
        ),
        normalised(&canceled),
        format!(
            "{:?}",
            rest.iter().map(|(generation, _)| generation).collect::<Vec<_>>()
        ),
        normalised(&got),
    ]
}

/// A message with every kind of part and numbers that bindings write differently.
fn every_part() -> Message {
    let value = |kind| Value { kind: Some(kind) };
    let fields = [
        (
            "whole".to_owned(),
            value(value::Kind::NumberValue(9_007_199_254_740_991.0)),
        ),
        ("half".to_owned(), value(value::Kind::NumberValue(-0.5))),
        ("none".to_owned(), value(value::Kind::NullValue(0))),
        ("flag".to_owned(), value(value::Kind::BoolValue(true))),
    ];
    let metadata = Struct {
        fields: fields.into(),
    };
    let part = |content| Part {
        content: Some(content),
        metadata: Some(metadata.clone()),
        ..Part::default()
    };
    let parts = vec![
        text(""),
        part(Content::Raw(vec![0, 255, 62, 63].into())),
        part(Content::Url("https://example.com/?a=b&c".to_owned())),
        part(Content::Data(value(value::Kind::StructValue(metadata.clone())))),
    ];
    Message {
        parts,
        metadata: Some(metadata),
        extensions: vec!["urn:x".to_owned()],
        ..message("parts", "")
    }
}

#[tokio::test]
async fn the_same_request_gives_the_same_result() {
    let mut seen = Vec::new();
    for wire in Wire::ALL {
        let world = World::new().await;
        let lines = everything(&world.client(wire)).await;
        assert!(lines.len() > 50, "{}", lines.len());
        // The address of the runtime is another each time.
        let address = world.address.to_string();
        seen.push(
            lines
                .into_iter()
                .map(|line| line.replace(&address, "ADDRESS"))
                .collect::<Vec<_>>(),
        );
    }
    for (wire, other) in Wire::ALL.iter().zip(&seen).skip(1) {
        for (line, expected) in other.iter().zip(&seen[0]) {
            assert_eq!(line, expected, "{wire:?}");
        }
        assert_eq!(other.len(), seen[0].len(), "{wire:?}");
    }
}

#[tokio::test]
async fn what_one_binding_writes_the_others_read() {
    let world = World::new().await;
    for writer in Wire::ALL {
        let made = task(
            world
                .client(writer)
                .call(at_once(send_of("echo", every_part())))
                .await
                .unwrap(),
        );
        let mut read = Vec::new();
        for reader in Wire::ALL {
            read.push(world.client(reader).call(get("echo", &made.id)).await.unwrap());
        }
        assert!(read.iter().all(|task| *task == read[0]), "{read:?}");
        assert_eq!(read[0].history[0].parts, every_part().parts);
    }
}

//! Bytes by the minute, in both directions.

use std::time::Duration;

use a2ad::config::{AgentQuota, Quota};
use a2ad::error::Kind;
use a2ad::pb::stream_response::Payload;
use serde_json::json;

use super::{each_principal, names};
use crate::support::messages::{get, label, send, subscribe};
use crate::support::wire::{EventReader, Wire, WireError, for_each_binding};
use crate::support::world::Scenario;

for_each_binding!(
    a_large_message_overdraws_once,
    a_large_answer_is_paid_for_afterwards,
    a_stream_beyond_its_bytes_ends_with_its_cursor,
);

fn bytes(per_minute: u64, burst: u64) -> Quota {
    Quota {
        bytes_per_minute: Some(per_minute),
        bytes_burst: Some(burst),
        ..Quota::default()
    }
}

/// The refusal hits the entry that goes beyond, and not those that come with it.
#[tokio::test]
async fn each_entry_of_a_batch_pays_for_itself() {
    const TEXT: usize = 1_500;
    let world = each_principal(bytes(1, 2_000)).start().await;
    let client = world.client(Wire::JsonRpc);
    let params = |agent: &str, size: usize| {
        let said = "x".repeat(size);
        let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": said}]});
        json!({"tenant": agent, "message": message})
    };
    let entry = |id: u32, agent: &str, size: usize| json!({"jsonrpc": "2.0", "id": id, "method": "SendMessage", "params": params(agent, size)});
    let batch: Vec<_> = (1..=4).map(|id| entry(id, "echo", TEXT)).collect();
    let answers = client.post(&json!(batch).to_string()).await.json();
    let is_done: Vec<bool> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["result"].is_object())
        .collect();
    // The first one takes three quarters, the second one what is left and more, the others find nothing.
    assert_eq!(is_done, [true, true, false, false], "{answers}");
    // What went out is paid for as well: two texts came in, and each went back at least once.
    let error = client.call(get("echo", "none")).await.unwrap_err();
    let wait = error.is(Kind::ResourceExhausted).retry_after().unwrap();
    let owed = 4 * TEXT as u64 - 2_000;
    assert!(wait > Duration::from_secs(60 * owed), "{wait:?}");
}

/// Who lets a heavy entry ride with a light one does not have the light one's agent pay.
#[tokio::test]
async fn each_agent_is_charged_for_its_own_entries() {
    let quota = AgentQuota {
        bytes_per_minute: Some(1),
        bytes_burst: Some(3_000),
        ..AgentQuota::default()
    };
    let world = Scenario::new()
        .set(|config| config.quotas.agent = quota)
        .start()
        .await;
    let client = world.client(Wire::JsonRpc);
    let entry = |id: u32, agent: &str, more: usize| {
        let params = json!({"tenant": agent, "id": "none", "metadata": {"x": "x".repeat(more)}});
        json!({"jsonrpc": "2.0", "id": id, "method": "CancelTask", "params": params})
    };
    let (light, heavy) = (entry(1, "echo", 0), entry(2, "plain", 20_000));
    client.post(&json!([light, heavy]).to_string()).await;
    for (agent, kind) in [("plain", Kind::ResourceExhausted), ("echo", Kind::TaskNotFound)] {
        client.call(get(agent, "none")).await.unwrap_err().is(kind);
    }
}

async fn a_large_message_overdraws_once(wire: Wire) {
    let world = each_principal(bytes(60_000, 2_000)).start().await;
    let (client, other) = (world.client(wire), world.client(wire).from([127, 0, 0, 2]));
    client.call(send("echo", "m", &"x".repeat(20_000))).await.unwrap();
    let error = client.call(get("echo", "none")).await.unwrap_err();
    let error = error.is(Kind::ResourceExhausted);
    names(&error, "bytes_per_minute", "60000", "principal");
    // 20,000 came in and more went out, of 2,000 at 1,000 a second.
    let wait = error.retry_after().unwrap();
    assert!(
        wait > Duration::from_secs(18) && wait < Duration::from_secs(120),
        "{wait:?}"
    );
    other
        .call(get("echo", "none"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
}

async fn a_large_answer_is_paid_for_afterwards(wire: Wire) {
    let world = each_principal(bytes(60_000, 8_000)).start().await;
    let client = world.client(wire);
    world.puppet.allow(2);
    // A small request whose answer is large.
    client.call(send("puppet", "m", "steps 1 30000")).await.unwrap();
    let error = client.call(get("echo", "none")).await.unwrap_err();
    let wait = error.is(Kind::ResourceExhausted).retry_after().unwrap();
    // 30,000 went out, of 8,000 at 1,000 a second.
    assert!(wait > Duration::from_secs(20), "{wait:?}");
}

/// Reads up to the end or an error; the generations and labels of what came.
async fn read(reader: &mut EventReader, seen: &mut Vec<(u64, String)>) -> Option<WireError> {
    loop {
        match reader.next().await? {
            Ok((generation, event)) => seen.push((generation, label(&event))),
            Err(error) => return Some(error),
        }
    }
}

async fn a_stream_beyond_its_bytes_ends_with_its_cursor(wire: Wire) {
    const STEPS: usize = 8;
    let world = each_principal(bytes(12_000_000, 5_000)).start().await;
    let client = world.client(wire);
    world.puppet.allow(STEPS + 1);
    let steps = format!("steps {STEPS} 40000");
    let mut reader = client.stream(send("puppet", "m", &steps)).await.unwrap();
    let first = reader.event().await;
    let Payload::Task(begun) = &first.1 else {
        panic!("the task comes first")
    };
    let mut seen = vec![(first.0, label(&first.1))];
    let mut cuts = 0;
    while let Some(error) = read(&mut reader, &mut seen).await {
        cuts += 1;
        let last = seen.last().unwrap().0;
        assert_eq!(error.metadata["lastGeneration"], last.to_string());
        names(&error, "bytes_per_minute", "12000000", "principal");
        let mut wait = error.retry_after().unwrap();
        reader = loop {
            tokio::time::sleep(wait).await;
            let resumed = client.clone().behind(last);
            match resumed.stream(subscribe("puppet", &begun.id)).await {
                Ok(reader) => break reader,
                // What the first stream still sent counts as well.
                Err(error) => wait = error.is(Kind::ResourceExhausted).retry_after().unwrap(),
            }
        };
    }
    assert!(cuts > 0);
    let generations: Vec<u64> = seen.iter().map(|(generation, _)| *generation).collect();
    assert_eq!(generations, (1..=generations.len() as u64).collect::<Vec<_>>());
    let artifacts = seen.iter().filter(|(_, label)| label.contains("step-")).count();
    assert_eq!(artifacts, STEPS, "{seen:?}");
}

//! Readers that stop reading: closed at a limit, resumed behind what they have read, noticed by nobody else.

use std::time::Duration;

use a2ad::error::Kind;
use a2ad::pb::{SubscribeToTaskRequest, Task};
use futures_util::future::join_all;

use crate::support::engine::eventually;
use crate::support::messages::{Event, at_once, label, labels, send, subscribe, task};
use crate::support::stalled::{self, Connection, Undriven};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    a_reader_whose_window_stays_full_is_reset_and_resumes,
    a_reader_that_only_pauses_is_not_closed,
);

/// Long enough for a healthy reader on a busy machine.
const WRITE_TIMEOUT_MS: u64 = 3_000;

async fn impatient() -> World {
    let scenario = Scenario::new().set(|config| config.server.write_timeout_ms = WRITE_TIMEOUT_MS);
    scenario.start().await
}

/// The same for a caller that may hold one stream open: that it may open another one shows that the first is gone.
async fn impatient_with_one_stream() -> World {
    let scenario = Scenario::new().set(|config| {
        config.server.write_timeout_ms = WRITE_TIMEOUT_MS;
        config.limits.streams_per_caller_max = 1;
    });
    scenario.start().await
}

async fn begun(client: &TestClient, order: &str) -> (Task, SubscribeToTaskRequest) {
    let task = task(client.call(at_once(send("puppet", "m", order))).await.unwrap());
    let request = subscribe("puppet", &task.id);
    (task, request)
}

/// Waits until the caller's only stream is closed, by asking for another one behind `cursor`.
async fn resumed(client: &TestClient, request: &SubscribeToTaskRequest, cursor: u64) -> Vec<(u64, Event)> {
    let client = client.clone().behind(cursor);
    for _ in 0..6_000 {
        match client.stream(request.clone()).await {
            Ok(reader) => return reader.all().await,
            Err(error) => {
                error.is(Kind::ResourceExhausted);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    panic!("a stream that is not read stays open");
}

fn is_dense(events: &[(u64, Event)], from: u64, last: u64) {
    let generations: Vec<u64> = events.iter().map(|(generation, _)| *generation).collect();
    assert_eq!(generations, (from..=last).collect::<Vec<_>>());
    assert_eq!(label(&events.last().expect("an end").1), "COMPLETED");
}

async fn a_reader_whose_window_stays_full_is_reset_and_resumes(wire: Wire) {
    let world = impatient_with_one_stream().await;
    let client = world.client(wire);
    let (_, request) = begun(&client, "steps 40 8192").await;
    let stream = Connection::open(world.address)
        .await
        .subscribe(wire, &request)
        .await;
    world.puppet.allow(41);
    let (reason, seen) = stream.reset().await;
    assert_eq!(reason, Some(h2::Reason::CANCEL));
    assert!(
        (32 << 10..=64 << 10).contains(&seen.bytes.len()),
        "{} bytes",
        seen.bytes.len()
    );
    let cursor = seen.cursor(wire);
    let rest = resumed(&client, &request, cursor).await;
    // The task, WORKING, 40 steps, COMPLETED.
    is_dense(&rest, cursor + 1, 43);
}

/// A window that is full of what has come is no stall while nothing more comes.
async fn a_reader_that_only_pauses_is_not_closed(wire: Wire) {
    let world = impatient().await;
    let client = world.client(wire);
    let (_, request) = begun(&client, "steps 2").await;
    let mut reader = client.stream(request).await.unwrap();
    reader.event().await;
    tokio::time::sleep(Duration::from_millis(2 * WRITE_TIMEOUT_MS)).await;
    world.puppet.allow(3);
    let rest = labels(&reader.all().await);
    assert!(
        rest.ends_with(&["4 Artifact:step-1".to_owned(), "5 COMPLETED".to_owned()]),
        "{rest:?}"
    );
}

/// Over HTTP/1.1 the socket is all that there is.
#[tokio::test]
async fn a_connection_that_takes_nothing_is_closed_and_its_reader_resumes() {
    for wire in [Wire::JsonRpc, Wire::HttpJson] {
        let world = impatient_with_one_stream().await;
        let client = world.client(wire);
        let (_, request) = begun(&client, "steps 400 65536").await;
        let tcp = stalled::http1(world.address, wire, &request).await;
        world.puppet.allow(401);
        // The caller has one stream, so this goes on as soon as the stalled one is closed.
        let all = resumed(&client, &request, 1).await;
        is_dense(&all, 2, 403);
        let cursor = stalled::rest(tcp).await.cursor(wire);
        assert!((2..403).contains(&cursor), "{cursor}");
        let rest = resumed(&client, &request, cursor).await;
        assert_eq!(rest, all[usize::try_from(cursor).unwrap() - 1..]);
    }
}

#[tokio::test]
async fn an_http2_connection_that_takes_nothing_is_closed() {
    let world = impatient_with_one_stream().await;
    let client = world.client(Wire::Grpc);
    let (_, request) = begun(&client, "steps 400 65536").await;
    let _undriven = Undriven::subscribe(world.address, &request).await;
    world.puppet.allow(401);
    let all = resumed(&client, &request, 1).await;
    is_dense(&all, 2, 403);
}

/// As many stalled readers as healthy ones, of the same tasks.
#[tokio::test]
async fn healthy_readers_get_everything_beside_stalled_ones() {
    const TASKS: usize = 4;
    const READERS: usize = 10;
    const STEPS: usize = 50;
    let world = impatient().await;
    let client = world.client(Wire::Grpc);
    let connection = Connection::open(world.address).await;
    let (mut healthy, mut stalled) = (Vec::new(), Vec::new());
    let mut requests = Vec::new();
    for _ in 0..TASKS {
        requests.push(begun(&client, &format!("steps {STEPS} 8192")).await.1);
    }
    let before = world.shutdown.running();
    for request in &requests {
        for _ in 0..READERS {
            healthy.push(client.clone().behind(1).stream(request.clone()).await.unwrap());
            stalled.push(connection.subscribe(Wire::Grpc, request).await);
        }
    }
    assert!(world.shutdown.running() >= before + 2 * TASKS * READERS);
    world.puppet.allow(TASKS * (STEPS + 1));
    let seen = join_all(healthy.into_iter().map(|reader| reader.all())).await;
    for events in &seen {
        is_dense(events, 2, STEPS as u64 + 3);
    }
    for same in seen.chunks(READERS) {
        assert!(same.iter().all(|events| events == &same[0]));
    }
    for stream in stalled {
        let (reason, seen) = stream.reset().await;
        assert_eq!(reason, Some(h2::Reason::CANCEL));
        assert!(seen.cursor(Wire::Grpc) < STEPS as u64);
    }
    // Their tasks are over too, and with these what they held.
    eventually(async || world.shutdown.running() <= before).await;
}

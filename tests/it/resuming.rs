//! Readers that go on behind their last event, on every binding and across restarts of the program.

use std::path::Path;

use a2ad::error::Kind;
use a2ad::pb::stream_response::Payload;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::repository::{CompactQuery, TaskRepository as _};
use a2ad::shutdown::Shutdown;

use crate::binary::Server;
use crate::support::messages::{Event, label, labels, send, subscribe};
use crate::support::wire::http::envelope;
use crate::support::wire::{EventReader, TestClient, Wire};

type Events = Vec<(u64, Event)>;

fn serve(database: &Path) -> Server {
    let url = format!("sqlite://{}", database.display());
    let drain = "server.drain_timeout_ms=500";
    Server::start(&["--database", &url, "--set", drain])
}

fn client(server: &Server, wire: Wire) -> TestClient {
    TestClient::new(server.addr, wire)
}

async fn began(client: &TestClient, order: &str) -> (EventReader, Events, String) {
    let mut reader = client.stream(send("bench", "m", order)).await.unwrap();
    let first = reader.event().await;
    let Payload::Task(task) = &first.1 else {
        panic!("the task comes first")
    };
    let id = task.id.clone();
    (reader, vec![first], id)
}

async fn behind(client: &TestClient, id: &str, cursor: u64) -> Events {
    let reader = client
        .clone()
        .behind(cursor)
        .stream(subscribe("bench", id))
        .await
        .unwrap();
    reader.all().await
}

async fn refused(client: TestClient, id: &str) {
    let error = client.stream(subscribe("bench", id)).await.err();
    error.expect("a refusal").is(Kind::InvalidParams);
}

fn cursor_header(wire: Wire) -> &'static str {
    match wire {
        Wire::Grpc => "a2ad-last-generation",
        Wire::JsonRpc | Wire::HttpJson => "last-event-id",
    }
}

#[tokio::test]
async fn every_cursor_gets_exactly_the_rest_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    let server = serve(&database);
    let (reader, mut all, id) = began(&client(&server, Wire::Grpc), "ticks:12:0:0:100").await;
    all.extend(reader.all().await);
    assert_eq!(all.len(), 15);
    server.kill();
    let server = serve(&database);
    for wire in Wire::ALL {
        let client = client(&server, wire);
        for cursor in 0..=all.len() {
            let rest = behind(&client, &id, cursor as u64).await;
            assert_eq!(rest, all[cursor..], "{wire:?} behind {cursor}");
        }
        for ahead in [all.len() as u64 + 1, u64::MAX] {
            refused(client.clone().behind(ahead), &id).await;
        }
        for junk in ["x", "-1", "+1", "1.0", "0x1", "1 2", "18446744073709551616"] {
            refused(client.clone().with(cursor_header(wire), junk), &id).await;
        }
        // Without a cursor there is nothing to see of a task that has ended (specification 3.1.6).
        for plain in [client.clone(), client.clone().with(cursor_header(wire), "")] {
            let error = plain.stream(subscribe("bench", &id)).await.err();
            error.expect("a refusal").is(Kind::UnsupportedOperation);
        }
    }
}

/// The reader has seen some events of a task that runs when the server dies; the next one ends the task, and the reader
/// sees all of it once.
#[tokio::test]
async fn a_live_stream_goes_on_across_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    for (wire, events) in Wire::ALL.into_iter().zip([2, 5, 9]) {
        let server = serve(&database);
        let before = client(&server, wire);
        let (mut reader, mut seen, id) = began(&before, "ticks:100000:2000:0:10").await;
        while seen.len() < events {
            seen.push(reader.event().await);
        }
        server.kill();
        let server = serve(&database);
        let after = client(&server, wire);
        let cursor = seen.last().expect("some events").0;
        seen.extend(behind(&after, &id, cursor).await);
        let generations: Vec<u64> = seen.iter().map(|(generation, _)| *generation).collect();
        assert_eq!(generations, (1..=seen.len() as u64).collect::<Vec<_>>());
        assert_eq!(label(&seen.last().expect("an end").1), "FAILED");
        assert_eq!(seen, behind(&after, &id, 0).await, "{wire:?}");
    }
}

/// A drain ends streams with the cursor to go on from.
#[tokio::test]
async fn a_live_stream_goes_on_across_a_drain() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    for wire in Wire::ALL {
        let server = serve(&database);
        let before = client(&server, wire);
        let (mut reader, mut seen, id) = began(&before, "hold:600").await;
        server.terminate();
        let cursor = loop {
            match reader.next().await.expect("an error comes before the end") {
                Ok(event) => seen.push(event),
                Err(error) => {
                    assert_eq!(&*error.reason, "UNAVAILABLE");
                    break error.metadata["lastGeneration"].clone();
                }
            }
        };
        assert!(server.ended().success());
        assert_eq!(cursor, seen.last().expect("the task").0.to_string());
        let server = serve(&database);
        let rest = behind(&client(&server, wire), &id, cursor.parse().unwrap()).await;
        seen.extend(rest);
        assert_eq!(
            labels(&seen),
            ["1 Task:SUBMITTED", "2 WORKING", "3 FAILED"],
            "{wire:?}"
        );
    }
}

/// Removes all events that a snapshot stands for.
async fn compact(database: &Path) {
    let repository = SeaOrmRepository::open_sqlite(database, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap();
    let everything = CompactQuery {
        after: String::new(),
        before_ms: i64::MAX,
        limit: 10_000,
    };
    let compacted = repository.compact(&everything).await.unwrap();
    assert!(compacted.events > 0, "{compacted:?}");
    repository.close().await;
}

#[tokio::test]
async fn a_cursor_before_retention_is_told_so_and_gets_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    let server = serve(&database);
    // Paced, so that the log has rows of few events.
    let (reader, mut all, id) = began(&client(&server, Wire::Grpc), "ticks:40:10000:0:10").await;
    all.extend(reader.all().await);
    server.terminate();
    assert!(server.ended().success());
    compact(&database).await;
    let server = serve(&database);
    let (last, mut expired) = (all.len() as u64, 0);
    for wire in Wire::ALL {
        let client = client(&server, wire);
        for cursor in 0..=last {
            let resuming = client.clone().behind(cursor);
            let reader = resuming.stream(subscribe("bench", &id)).await.unwrap();
            let first = reader.headers.get("a2ad-cursor-expired").cloned();
            let rest = reader.all().await;
            let Some(first) = first else {
                assert_eq!(rest, all[cursor as usize..], "{wire:?} behind {cursor}");
                continue;
            };
            let first: u64 = first.to_str().unwrap().parse().unwrap();
            assert!(cursor + 1 < first && first <= last, "{cursor} {first}");
            assert_eq!(
                labels(&rest),
                [format!("{last} Task:COMPLETED")],
                "{wire:?} behind {cursor}"
            );
            expired += 1;
        }
        // What has no cursor hears nothing of it.
        let plain = client.stream(subscribe("bench", &id)).await.err().unwrap();
        plain.is(Kind::UnsupportedOperation);
    }
    assert!(expired >= 3, "some cursors are older than the log");
    for (wire, path) in [
        (Wire::HttpJson, format!("/bench/tasks/{id}:subscribe")),
        (Wire::JsonRpc, "/".to_owned()),
    ] {
        let body = match wire {
            Wire::JsonRpc => envelope("SubscribeToTask", &subscribe("bench", &id)),
            _ => String::new(),
        };
        let reply = client(&server, wire).behind(0).http("POST", &path, body).await;
        let first = reply.header("a2ad-cursor-expired").to_owned();
        let begins =
            format!("event: cursor-expired\ndata: {{\"firstGeneration\":{first}}}\n\nid: {last}\ndata: ");
        let text = String::from_utf8_lossy(&reply.body);
        assert!(text.starts_with(&begins), "{text}");
    }
}

//! Stored bytes that are not what was stored: found by whoever reads them and by nobody else, and never a panic.

use std::path::Path;
use std::sync::Arc;

use a2ad::error::Kind;
use a2ad::execution::ExecutionSettings;
use a2ad::pb::{ListTasksRequest, TaskState, value};
use a2ad::repository::conformance::{NOW_MS, Sketch, key, push_config, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::repository::{Error, ListQuery, TaskRepository, TaskWrite};
use a2ad::shutdown::Shutdown;
use futures_util::StreamExt as _;
use proptest::prelude::Rng as _;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

use crate::support::engine::{Bed, echo, patiently};
use crate::support::messages::{get, message, send_of, task};
use crate::support::observed::Observed;
use crate::support::raw::Raw;
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::Scenario;

/// A database with the task `t` in it: events 1, 2 to 5 with a snapshot, 6 to 8; it waits for more. It has a key and a
/// push configuration. `other` has ended.
struct Stored {
    _folder: TempDir,
    path: std::path::PathBuf,
    repository: Arc<SeaOrmRepository>,
    raw: Raw,
    sketch: Sketch,
}

async fn open(path: &Path) -> SeaOrmRepository {
    SeaOrmRepository::open_sqlite(path, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap()
}

impl Stored {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let repository = Arc::new(open(&path).await);
        let ada = scope("ada");
        let mut sketch = Sketch::new(&ada, "t");
        let create = TaskWrite {
            keys: vec![key("k")],
            push_configs: vec![push_config("t", "p", "https://example.org/hook")],
            ..sketch.create()
        };
        repository.commit(create).await.unwrap();
        let chunks = sketch.chunks(&["2", "3", "4", "5"]);
        repository.commit(sketch.with_snapshot(chunks)).await.unwrap();
        repository.commit(sketch.chunks(&["6", "7"])).await.unwrap();
        let last = sketch.go(TaskState::InputRequired);
        repository.commit(last).await.unwrap();
        let mut other = Sketch::new(&ada, "other");
        repository.commit(other.create()).await.unwrap();
        repository.commit(other.go(TaskState::Completed)).await.unwrap();
        let raw = Raw::open(&path).await;
        Self {
            _folder: folder,
            path,
            repository,
            raw,
            sketch,
        }
    }

    /// What reading all events one page after the other gives: the generations, and the error that ends them.
    async fn read_on(&self, task_id: &str, limit: usize) -> (Vec<u64>, Option<Error>) {
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let after = seen.last().copied().unwrap_or(0);
            match self.repository.events(&scope("ada"), task_id, after, limit).await {
                Ok(events) if events.is_empty() => return (seen, None),
                Ok(events) => seen.extend(events.iter().map(|event| event.generation)),
                Err(error) => return (seen, Some(error)),
            }
        }
    }

    async fn findings(&self) -> Vec<(String, Option<u64>)> {
        let database = Maintenance::open_sqlite(&self.path).await.unwrap();
        let verified = database.verify().await.unwrap();
        database.close().await.unwrap();
        let findings = verified.findings.into_iter();
        findings
            .map(|finding| (finding.task_id, finding.generation))
            .collect()
    }
}

fn corrupt_at(error: &Option<Error>) -> Option<u64> {
    match error {
        Some(Error::Corrupt {
            task_id, generation, ..
        }) if task_id == "t" => *generation,
        _ => None,
    }
}

/// Where blobs are stored, and the generations that a row holds.
const BLOBS: [(&str, &str, &str, (u64, u64)); 6] = [
    (
        "task_log",
        "events",
        "task_id = 't' AND last_generation = 1",
        (1, 1),
    ),
    (
        "task_log",
        "events",
        "task_id = 't' AND last_generation = 5",
        (2, 5),
    ),
    (
        "task_log",
        "events",
        "task_id = 't' AND last_generation = 7",
        (6, 7),
    ),
    (
        "task_log",
        "snapshot",
        "task_id = 't' AND last_generation = 5",
        (5, 5),
    ),
    ("push_config", "config", "task_id = 't'", (0, 0)),
    ("idempotency_key", "fingerprint", "task_id = 't'", (0, 0)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_of_any_blob_is_found() {
    const FLIPS: usize = 300;
    let stored = Stored::new().await;
    let ada = scope("ada");
    assert_eq!(stored.findings().await, []);
    let mut runner = TestRunner::default();
    for n in 0..FLIPS {
        let (table, column, which, (first, last)) = BLOBS[n % BLOBS.len()];
        let bits = stored.raw.blob(table, column, which).await.len() * 8;
        let bit = (runner.rng().next_u64() % bits as u64) as usize;
        stored.raw.flip(table, column, which, bit).await;
        let place = format!("bit {bit} of {table}.{column} where {which}");

        let findings = stored.findings().await;
        assert!(
            !findings.is_empty() && findings.iter().all(|(task_id, _)| task_id == "t"),
            "{place}: {findings:?}"
        );
        let got = stored.repository.get(&ada, "t").await;
        let (seen, end) = stored.read_on("t", 1 + n % 9).await;
        match (table, column) {
            ("task_log", "events") => {
                let at = corrupt_at(&end).unwrap_or_else(|| panic!("{place}: {end:?}"));
                assert!((first..=last).contains(&at), "{place}: event {at}");
                assert_eq!(seen, (1..at).collect::<Vec<_>>(), "{place}");
                assert_eq!(
                    got.is_ok(),
                    last <= 5,
                    "{place}: what a snapshot stands for is not read"
                );
            }
            ("task_log", _) => {
                assert_eq!(corrupt_at(&got.clone().err()), Some(5), "{place}: {got:?}");
                assert_eq!((seen.len(), end), (8, None), "{place}: the log is sound");
            }
            ("push_config", _) => {
                let configs = stored.repository.push_configs(&ada, "t").await;
                assert!(
                    matches!(configs, Err(Error::Corrupt { .. })),
                    "{place}: {configs:?}"
                );
            }
            _ => {
                let known = stored.repository.known_key(&ada, "k", NOW_MS).await;
                assert!(matches!(known, Err(Error::Corrupt { .. })), "{place}: {known:?}");
            }
        }
        let other = stored.repository.get(&ada, "other").await.unwrap();
        assert!(other.is_some(), "{place}: another task");
        stored.raw.flip(table, column, which, bit).await;
    }
    assert_eq!(stored.findings().await, []);
    assert_eq!(
        stored.repository.get(&ada, "t").await,
        Ok(Some(stored.sketch.stored()))
    );
    eprintln!("{FLIPS} bits flipped, {FLIPS} found");
}

/// Rows that are gone are damage too, not a shorter log.
#[tokio::test]
async fn a_missing_row_is_found() {
    let ada = scope("ada");
    for (gone, at, readable) in [(1, 1, true), (5, 2, false), (7, 6, false), (8, 8, false)] {
        let stored = Stored::new().await;
        let sql = format!("DELETE FROM task_log WHERE task_id = 't' AND last_generation = {gone}");
        stored.raw.execute(&sql).await;
        let (seen, end) = stored.read_on("t", 3).await;
        assert_eq!(corrupt_at(&end), Some(at), "without {gone}: {end:?}");
        assert_eq!(seen, (1..at).collect::<Vec<_>>());
        let got = stored.repository.get(&ada, "t").await;
        assert_eq!(got.is_ok(), readable, "without {gone}: {got:?}");
        assert!(
            stored.findings().await.contains(&("t".to_owned(), Some(at))) || gone == 8,
            "without {gone}: {:?}",
            stored.findings().await
        );
    }
    let stored = Stored::new().await;
    stored
        .raw
        .execute("DELETE FROM task_log WHERE task_id = 't'")
        .await;
    let got = stored.repository.get(&ada, "t").await;
    assert!(
        matches!(got, Err(Error::Corrupt { .. })),
        "not a task that never was: {got:?}"
    );
}

/// A listing shows a damaged task as its row knows it, and the others as ever.
#[tokio::test]
async fn a_damaged_task_is_listed_as_such() {
    let stored = Stored::new().await;
    let which = "task_id = 't' AND last_generation = 7";
    stored.raw.flip("task_log", "events", which, 77).await;
    let query = ListQuery {
        limit: 10,
        count_limit: 10,
        ..ListQuery::default()
    };
    let page = stored.repository.list(&scope("ada"), &query).await.unwrap();
    assert_eq!((page.tasks.len(), page.total), (2, 2));
    for listed in &page.tasks {
        let said = listed
            .task
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.fields.get("urn:a2ad:data-loss"));
        assert_eq!(said.is_some(), listed.task.id == "t");
        if listed.task.id == "t" {
            let status = listed.task.status.clone().unwrap();
            assert_eq!(Some(&status), stored.sketch.task.status.as_ref());
            assert_eq!(listed.task.context_id, stored.sketch.task.context_id);
            let Some(value::Kind::StringValue(said)) = said.and_then(|said| said.kind.clone()) else {
                panic!("{said:?}")
            };
            assert!(said.contains("task t"), "{said}");
        }
    }
}

/// A stream gives every event before the damage, and then the error that names the next one.
#[tokio::test]
async fn a_stream_ends_at_the_damaged_event() {
    let stored = Stored::new().await;
    // Somewhere in the second event of the row with events 2 to 5.
    let which = "task_id = 't' AND last_generation = 5";
    let column = stored.raw.blob("task_log", "events", which).await;
    stored
        .raw
        .flip("task_log", "events", which, column.len() * 8 * 3 / 8)
        .await;
    let (seen, end) = stored.read_on("t", 99).await;
    let at = corrupt_at(&end).unwrap();
    assert!((3..=4).contains(&at) && seen.len() as u64 == at - 1, "{seen:?}");

    let bed = Bed::over(
        Observed::new(stored.repository.clone()),
        ExecutionSettings::default(),
    );
    let mut stream = bed.subscribe(&echo(), "t", Some(1)).await.unwrap();
    for generation in 2..at {
        let event = patiently(stream.next()).await.unwrap().unwrap();
        assert_eq!(event.generation, generation);
    }
    let error = patiently(stream.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::DataLoss);
    assert!(
        error.metadata.contains(&("generation", at.to_string())),
        "{error:?}"
    );
    assert!(error.metadata.contains(&("taskId", "t".to_owned())), "{error:?}");
    assert!(
        patiently(stream.next()).await.is_none(),
        "nothing follows the damage"
    );
    // Behind the damage everything is as it was.
    let mut stream = bed.subscribe(&echo(), "t", Some(5)).await.unwrap();
    assert_eq!(patiently(stream.next()).await.unwrap().unwrap().generation, 6);
}

for_each_binding!(data_loss_is_told_on_every_binding,);

async fn data_loss_is_told_on_every_binding(wire: Wire) {
    let world = Scenario::new().sqlite().start().await;
    let client = world.client(wire);
    let mut ids = Vec::new();
    for n in 0..3 {
        let sent = client
            .call(send_of("echo", message(&format!("m{n}"), "hello")))
            .await;
        ids.push(task(sent.unwrap()).id);
    }
    let raw = Raw::open(&world.database()).await;
    let which = format!("task_id = '{}'", ids[1]);
    raw.flip("task_log", "events", &which, 100).await;
    let error = client
        .call(get("echo", &ids[1]))
        .await
        .unwrap_err()
        .is(Kind::DataLoss);
    assert_eq!(error.metadata.get("taskId"), Some(&ids[1]));
    assert_eq!(error.metadata.get("generation").map(String::as_str), Some("1"));
    assert!(client.call(get("echo", &ids[0])).await.is_ok());
    let request = ListTasksRequest {
        tenant: "echo".to_owned(),
        ..ListTasksRequest::default()
    };
    let page = client.call(request).await.unwrap();
    assert_eq!(
        page.tasks.len(),
        3,
        "one damaged task does not hide the others, nor itself"
    );
    let marked = page.tasks.iter().filter(|task| task.metadata.is_some());
    assert_eq!(marked.map(|task| &task.id).collect::<Vec<_>>(), [&ids[1]]);
}

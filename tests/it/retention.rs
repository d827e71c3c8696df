//! What is past its time goes, while everybody else goes on; and SQLite's log stays within its limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use a2ad::app::{Removed, RetentionPolicy, prune};
use a2ad::clock::Clock;
use a2ad::config::{AgentConfig, AgentRetention, Config};
use a2ad::error::Kind;
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{NOW_MS, Sketch, key, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::repository::{Error, IdempotencyKey, TaskRepository, TaskWrite};
use a2ad::shutdown::Shutdown;

use crate::support::engine::eventually;
use crate::support::messages::{get, message, send_of, task};
use crate::support::raw::Raw;
use crate::support::wire::Wire;
use crate::support::world::Scenario;

const SECOND_MS: i64 = 1_000;

/// A policy in which every state has a time of its own, and `bench` some other ones.
fn config() -> Config {
    let mut config = Config::default();
    config.retention.completed_s = 100;
    config.retention.failed_s = 200;
    config.retention.canceled_s = 0;
    config.retention.rejected_s = 300;
    config.retention.events_s = 0;
    config.retention.pause_ms = 0;
    config.retention.batch_events = 3;
    let own = AgentRetention {
        completed_s: Some(50),
        failed_s: Some(0),
        ..AgentRetention::default()
    };
    let agent = AgentConfig {
        retention: Some(own),
        ..AgentConfig::default()
    };
    config.agents.insert("bench".to_owned(), agent);
    config
}

#[tokio::test]
async fn every_state_and_agent_has_its_time() {
    let repository: Arc<dyn TaskRepository> = Arc::new(MemoryRepository::new());
    let clock = Clock::manual(NOW_MS);
    let policy = RetentionPolicy::of(&config());
    for agent in ["bench", "echo"] {
        let mut of_agent = scope("ada");
        of_agent.agent = Arc::from(agent);
        for state in RetentionPolicy::STATES.into_iter().chain([TaskState::Working]) {
            let mut sketch = Sketch::new(&of_agent, &format!("{agent}-{}", state.as_str_name()));
            repository.commit(sketch.create()).await.unwrap();
            repository.commit(sketch.go_at(state, NOW_MS)).await.unwrap();
        }
    }
    // After so many seconds, so many tasks go: bench's COMPLETED, echo's, echo's FAILED, both REJECTED.
    let mut at = 0;
    for (seconds, tasks) in [
        (50, 0),
        (51, 1),
        (100, 0),
        (101, 1),
        (200, 0),
        (201, 1),
        (300, 0),
        (301, 2),
        (9_999, 0),
    ] {
        clock.advance_ms((seconds - at) * SECOND_MS);
        at = seconds;
        let removed = prune(&repository, &policy, &clock).await.unwrap();
        assert_eq!(
            removed,
            Removed {
                tasks,
                events: 2 * tasks,
                dead_letters: 0,
            },
            "after {seconds} s"
        );
    }
    let kept = repository.agents().await.unwrap();
    assert_eq!(
        kept,
        ["bench", "echo"],
        "CANCELED is kept for ever, and WORKING is not ended"
    );
}

#[test]
fn a_task_must_not_go_before_its_idempotency_key() {
    let mut config = Config::default();
    config.limits.idempotency_ttl_ms = 60_000;
    config.retention.failed_s = 60;
    config.validate().unwrap();
    config.retention.failed_s = 59;
    let own = AgentRetention {
        rejected_s: Some(1),
        ..AgentRetention::default()
    };
    let agent = config.agents.entry("echo".to_owned()).or_default();
    agent.retention = Some(own);
    let error = config.validate().unwrap_err().to_string();
    for key in ["retention.failed_s", "agents.echo.retention.rejected_s"] {
        assert!(error.contains(key), "{error}");
    }
}

async fn open(path: &Path, settings: &DatabaseSettings) -> Arc<SeaOrmRepository> {
    let opened = SeaOrmRepository::open_sqlite(path, settings, &Shutdown::new()).await;
    Arc::new(opened.unwrap())
}

/// 2,000 tasks go while one writes and one reads: who reads sees a whole task or none, writes go on in between, and
/// what is left is sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_go_while_others_read_and_write() {
    const TASKS: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open(&path, &DatabaseSettings::default()).await;
    let ada = scope("ada");
    let old = async |n: usize| {
        let mut sketch = Sketch::new(&ada, &format!("old-{n:04}"));
        repository.commit(sketch.create()).await.unwrap();
        repository.commit(sketch.go(TaskState::Completed)).await.unwrap();
        sketch
    };
    let sketches = futures_util::future::join_all((0..TASKS).map(old)).await;
    let policy = RetentionPolicy::of(&Config {
        retention: a2ad::config::Retention {
            pause_ms: 1,
            batch_events: 64,
            ..config().retention
        },
        ..Config::default()
    });
    let over = AtomicBool::new(false);
    let pruning = async {
        let port: Arc<dyn TaskRepository> = repository.clone();
        let clock = Clock::manual(NOW_MS + 1_000 * SECOND_MS);
        let removed = prune(&port, &policy, &clock).await.unwrap();
        over.store(true, Ordering::Release);
        removed
    };
    let writing = async {
        let (mut written, mut longest) = (0, Duration::ZERO);
        while !over.load(Ordering::Acquire) {
            let started = Instant::now();
            let mut sketch = Sketch::at(
                &ada,
                &format!("new-{written:05}"),
                "c",
                NOW_MS + 1_000 * SECOND_MS,
            );
            repository.commit(sketch.create()).await.unwrap();
            longest = longest.max(started.elapsed());
            written += 1;
        }
        (written, longest)
    };
    let reading = async {
        let (mut whole, mut gone) = (0, 0);
        for sketch in sketches.iter().cycle() {
            if over.load(Ordering::Acquire) {
                break;
            }
            let id = &sketch.task.id;
            match repository.get(&ada, id).await.unwrap() {
                Some(stored) => {
                    assert_eq!(stored, sketch.stored());
                    whole += 1;
                }
                None => gone += 1,
            }
            let events = repository.events(&ada, id, 0, 9).await.unwrap();
            assert!(
                matches!(events.len(), 0 | 2),
                "half a task: {} events",
                events.len()
            );
        }
        (whole, gone)
    };
    let (removed, (written, longest), (whole, gone)) = tokio::join!(pruning, writing, reading);
    let all = Removed {
        tasks: TASKS as u64,
        events: 2 * TASKS as u64,
        dead_letters: 0,
    };
    assert_eq!(removed, all);
    // There are more than sixty turns; one write at least finds its place between two of them.
    assert!(written > 30, "only {written} writes while {TASKS} tasks went");
    assert!(whole + gone > 0);
    eprintln!(
        "{TASKS} tasks went; {written} writes meanwhile, the longest {longest:?}; {whole} reads found a task, {gone} none"
    );
    repository.close().await;
    let database = Maintenance::open_sqlite(&path).await.unwrap();
    let verified = database.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.findings);
    assert_eq!(verified.tasks, written as u64);
}

/// A reader that pages through a log whose beginning goes is told so, and sees no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_events_that_go_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(&folder.path().join("tasks.db"), &DatabaseSettings::default()).await;
    let ada = scope("ada");
    let mut sketch = Sketch::new(&ada, "t");
    repository.commit(sketch.create()).await.unwrap();
    for n in 0..300 {
        let write = sketch.chunks(&["x", "y"]);
        let write = if n == 290 {
            sketch.with_snapshot(write)
        } else {
            write
        };
        repository.commit(write).await.unwrap();
    }
    let mut config = config();
    (config.retention.events_s, config.retention.batch_events) = (1, 7);
    let policy = RetentionPolicy::of(&config);
    let pruning = async {
        let port: Arc<dyn TaskRepository> = repository.clone();
        prune(&port, &policy, &Clock::manual(NOW_MS + 60 * SECOND_MS))
            .await
            .unwrap()
    };
    let reading = async {
        let (mut after, mut told) = (0, 0);
        while after < sketch.generation {
            match repository.events(&ada, "t", after, 1).await {
                Ok(events) => {
                    assert_eq!(events[0].generation, after + 1, "a gap");
                    after += 1;
                }
                Err(Error::Expired { first }) => {
                    assert!(first > after + 1, "{first} is there, and expired");
                    after = first - 1;
                    told += 1;
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(repository.get(&ada, "t").await, Ok(Some(sketch.stored())));
        }
        told
    };
    let (removed, told) = tokio::join!(pruning, reading);
    assert_eq!(
        removed,
        Removed {
            tasks: 0,
            events: 581,
            dead_letters: 0,
        }
    );
    assert_eq!(
        repository.events(&ada, "t", 0, 1).await,
        Err(Error::Expired { first: 582 })
    );
    eprintln!("581 events went; the reader was told {told} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_removes_what_is_past_its_time() {
    let scenario = Scenario::new().sqlite().set(|config| {
        config.limits.idempotency_ttl_ms = 1;
        config.retention.completed_s = 1;
        config.retention.interval_ms = 20;
    });
    let world = scenario.start().await;
    let client = world.client(Wire::Grpc);
    let done = task(client.call(send_of("echo", message("m", "hello"))).await.unwrap());
    let waiting = task(
        client
            .call(send_of("conformance", message("m", "tck-multi-turn")))
            .await
            .unwrap(),
    );
    eventually(async || match client.call(get("echo", &done.id)).await {
        Ok(_) => false,
        Err(error) => {
            error.is(Kind::TaskNotFound);
            true
        }
    })
    .await;
    assert!(client.call(get("conformance", &waiting.id)).await.is_ok());
}

fn wal_of(path: &Path) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(PathBuf::from(name)).map_or(0, |file| file.len())
}

/// While somebody reads from the beginning of the log, it grows; as soon as nobody does, it is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_when_a_long_reader_lets_go() {
    const LIMIT: u64 = 512 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let settings = DatabaseSettings {
        wal_bytes_max: LIMIT,
        ..DatabaseSettings::default()
    };
    let repository = open(&path, &settings).await;
    let mut sketch = Sketch::new(&scope("ada"), "t");
    repository.commit(sketch.create()).await.unwrap();
    let reader = Raw::open(&path).await;
    reader.execute("BEGIN").await;
    assert_eq!(reader.count("task").await, 1);
    let text = "x".repeat(64 * 1024);
    while wal_of(&path) < 8 * LIMIT {
        repository.commit(sketch.chunks(&[&text])).await.unwrap();
    }
    reader.execute("COMMIT").await;
    let (started, mut commits) = (Instant::now(), 0);
    while wal_of(&path) > LIMIT {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the log is still {} bytes",
            wal_of(&path)
        );
        repository.commit(sketch.chunks(&["y"])).await.unwrap();
        commits += 1;
    }
    eprintln!(
        "the log was cut after {:?} and {commits} commits",
        started.elapsed()
    );
    assert_eq!(
        repository.get(&sketch.scope, "t").await,
        Ok(Some(sketch.stored()))
    );
}

/// The log is cut, and expired keys go, though nobody writes any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn care_does_not_wait_for_a_write() {
    const LIMIT: u64 = 256 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let settings = DatabaseSettings {
        wal_bytes_max: LIMIT,
        ..DatabaseSettings::default()
    };
    let repository = open(&path, &settings).await;
    let reader = Raw::open(&path).await;
    reader.execute("BEGIN").await;
    assert_eq!(reader.count("task").await, 0);
    let mut sketch = Sketch::new(&scope("ada"), "t");
    let expired = IdempotencyKey {
        expires_ms: Clock::system().now_ms() + 2_000,
        ..key("k")
    };
    let create = TaskWrite {
        keys: vec![expired],
        status_ms: Clock::system().now_ms(),
        ..sketch.create()
    };
    repository.commit(create).await.unwrap();
    let text = "x".repeat(64 * 1024);
    while wal_of(&path) < 4 * LIMIT {
        repository.commit(sketch.chunks(&[&text])).await.unwrap();
    }
    reader.execute("COMMIT").await;
    eventually(async || wal_of(&path) <= LIMIT).await;
    eventually(async || reader.count("idempotency_key").await == 0).await;
    reader.close().await;
    repository.close().await;
}

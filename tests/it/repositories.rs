//! The conformance suite on every backend, and what only SQLite promises.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use a2ad::pb::TaskState;
use a2ad::repository::conformance::{Sketch, key, push_config, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, OpenError, SeaOrmRepository, migrate_sqlite};
use a2ad::repository::{TaskRepository, TaskWrite};
use a2ad::shutdown::Shutdown;
use futures_util::future::join_all;

use crate::support::observed::Observed;

mod memory {
    use super::*;

    a2ad::repository_conformance!(async || Arc::new(MemoryRepository::new()) as Arc<dyn TaskRepository>);
}

mod sqlite {
    use super::*;

    a2ad::repository_conformance!(async || fresh_sqlite().await as Arc<dyn TaskRepository>);
}

async fn open(path: &Path) -> SeaOrmRepository {
    SeaOrmRepository::open_sqlite(path, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap()
}

/// A database in a folder that goes away with it.
pub async fn fresh_sqlite() -> Arc<Observed> {
    let folder = tempfile::tempdir().unwrap();
    let repository = Arc::new(open(&folder.path().join("tasks.db")).await);
    Observed::holding(repository, folder)
}

#[tokio::test]
async fn a_reopened_database_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let scope = scope("ada");
    let repository = open(&path).await;
    let mut sketch = Sketch::new(&scope, "t");
    let config = push_config("t", "p", "https://example.org");
    let create = TaskWrite {
        keys: vec![key("k")],
        push_configs: vec![config.clone()],
        ..sketch.create()
    };
    repository.commit(create).await.unwrap();
    let chunks = sketch.chunks(&["a", "b"]);
    repository.commit(sketch.with_snapshot(chunks)).await.unwrap();
    sketch.lease = std::time::Duration::from_secs(3_600);
    repository.commit(sketch.go(TaskState::Working)).await.unwrap();
    assert_eq!(repository.lapsed(None, 9).await, Ok(Vec::new()));
    let events = repository.events(&scope, "t", 0, 100).await.unwrap();
    repository.close().await;
    drop(repository);

    let repository = open(&path).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    assert_eq!(repository.events(&scope, "t", 0, 100).await, Ok(events));
    assert_eq!(repository.push_configs(&scope, "t").await, Ok(Some(vec![config])));
    let known = repository.known_key(&scope, "k", 0).await.unwrap();
    assert_eq!(known.map(|known| known.task_id).as_deref(), Some("t"));
    let left = repository.lapsed(None, 9).await.unwrap();
    assert_eq!(
        left.len(),
        1,
        "whoever held it is dead, however long it wanted to: {left:?}"
    );
    repository.commit(sketch.go(TaskState::Completed)).await.unwrap();
}

#[tokio::test]
async fn a_database_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let first = open(&path).await;
    let second = SeaOrmRepository::open_sqlite(&path, &DatabaseSettings::default(), &Shutdown::new()).await;
    assert!(
        matches!(&second, Err(OpenError::Locked(locked)) if *locked == path),
        "{second:?}"
    );
    assert!(matches!(migrate_sqlite(&path).await, Err(OpenError::Locked(_))));
    first.close().await;
    drop(first);
    assert_eq!(open(&path).await.check().await, Ok(()));
}

#[tokio::test]
async fn migrations_apply_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    std::fs::write(&path, b"").unwrap();
    let applied = migrate_sqlite(&path).await.unwrap();
    assert!(applied > 0);
    assert_eq!(migrate_sqlite(&path).await.unwrap(), 0);
    let repository = open(&path).await;
    repository
        .commit(Sketch::new(&scope("ada"), "t").create())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    std::fs::write(
        &path,
        "this is a letter to my grandmother, not a database".repeat(100),
    )
    .unwrap();
    assert!(matches!(migrate_sqlite(&path).await, Err(OpenError::Database(_))));
    let missing = folder.path().join("no/such/folder/tasks.db");
    assert!(matches!(
        migrate_sqlite(&missing).await,
        Err(OpenError::Lock { .. })
    ));
}

/// A dropped commit future stands for a client that went away: what was queued is written whole, the rest not at
/// all, and the connections survive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_commits_are_whole_or_absent() {
    const TASKS: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let repository = open(&folder.path().join("tasks.db")).await;
    let scope = scope("ada");
    let mut present = 0;
    for n in 0..TASKS {
        let mut sketch = Sketch::new(&scope, &format!("t{n:04}"));
        let create = sketch.create();
        let second = sketch.chunks(&["x", "y"]);
        // One write that creates the task with three events, so that a torn one would show.
        let events = create.events.iter().chain(&second.events).cloned().collect();
        let write = TaskWrite {
            events,
            keys: vec![key(&format!("k{n}"))],
            expected_generation: 0,
            ..second
        };
        poll_and_drop(&repository, write, n * 7919 % 5).await;
    }
    // The committer takes its work in order: this one is behind all that were queued.
    repository
        .commit(Sketch::new(&scope, "last").create())
        .await
        .unwrap();
    for n in 0..TASKS {
        let id = format!("t{n:04}");
        let stored = repository.get(&scope, &id).await.unwrap();
        let events = repository.events(&scope, &id, 0, 10).await.unwrap();
        let known = repository.known_key(&scope, &format!("k{n}"), 0).await.unwrap();
        assert_eq!(stored.is_some(), events.len() == 3, "task {n} is torn");
        assert_eq!(stored.is_some(), known.is_some(), "task {n} is torn");
        present += usize::from(stored.is_some());
    }
    assert!(
        (TASKS / 2..TASKS).contains(&present),
        "{present} of {TASKS} should see both fates"
    );
}

/// Polls a commit `polls` times, letting others run in between, and drops it.
async fn poll_and_drop(repository: &dyn TaskRepository, write: TaskWrite, polls: usize) {
    let mut commit = pin!(repository.commit(write));
    for _ in 0..polls {
        if let Poll::Ready(result) = commit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_every_size_write_everything() {
    for commit_batch_max in [1, 7, 256] {
        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings {
            commit_batch_max,
            commit_queue_max: 16,
            ..DatabaseSettings::default()
        };
        let path = folder.path().join("tasks.db");
        let repository = SeaOrmRepository::open_sqlite(&path, &settings, &Shutdown::new())
            .await
            .unwrap();
        let live = async |n: usize| {
            let mut sketch = Sketch::new(&scope("ada"), &format!("t{n:03}"));
            repository.commit(sketch.create()).await.unwrap();
            // Two writes of one task at once: they build on each other, whichever batch they are in.
            let (one, two) = (sketch.chunks(&["x"]), sketch.go(TaskState::Completed));
            let (one, two) = tokio::join!(biased; repository.commit(one), repository.commit(two));
            one.and(two).unwrap();
            sketch
        };
        for sketch in join_all((0..100).map(live)).await {
            let stored = repository.get(&sketch.scope, &sketch.task.id).await;
            assert_eq!(stored, Ok(Some(sketch.stored())), "batches of {commit_batch_max}");
        }
        repository.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_does_not_overtake_the_write_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(&folder.path().join("tasks.db")).await;
    renewals_stay_behind(&repository).await;
    repository.close().await;
}

/// Heartbeats that are asked for right behind the writes that create their tasks find them.
pub async fn renewals_stay_behind(repository: &dyn TaskRepository) {
    let ttl = std::time::Duration::from_secs(60);
    let renewed = join_all((0..200).map(async |n| {
        let mut sketch = Sketch::new(&scope("ada"), &format!("t{n:03}"));
        sketch.lease = ttl;
        let create = sketch.create();
        let lease = [(create.task_id.clone(), create.epoch)];
        let (written, refused) =
            tokio::join!(biased; repository.commit(create), repository.renew(&lease, ttl));
        written.and(refused)
    }));
    for refused in renewed.await {
        assert_eq!(refused, Ok(Vec::new()));
    }
}

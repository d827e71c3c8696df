//! What is past its time goes, while two processes read and write: nobody waits in a circle, and nothing is left over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use a2ad::context::Scope;
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{NOW_MS, Sketch, key, push_config, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::repository::{
    CompactQuery, Error, IdempotencyKey, PruneQuery, Pruned, TaskRepository as _, TaskWrite,
};
use futures_util::future::join_all;

use super::open_with;
use crate::support::postgres::database;

const OLD: usize = 600;
const LIVE: usize = 40;

/// The old tasks end at `NOW_MS`, their keys expire soon after; the rest happens later.
const KEYS_EXPIRE_MS: i64 = NOW_MS + 10;
const LATER_MS: i64 = NOW_MS + 1_000;

fn old_id(n: usize) -> String {
    format!("old-{n:04}")
}

/// Keys in another order than their tasks.
fn key_of(n: usize) -> IdempotencyKey {
    IdempotencyKey {
        expires_ms: KEYS_EXPIRE_MS,
        ..key(&format!("k{:04}", n * 7_919 % OLD))
    }
}

async fn old_tasks(repository: &SeaOrmRepository, ada: &Scope) {
    let written = join_all((0..OLD).map(async |n| {
        let mut sketch = Sketch::new(ada, &old_id(n));
        let create = TaskWrite {
            keys: vec![key_of(n)],
            ..sketch.create()
        };
        repository.commit(create).await?;
        repository
            .commit(sketch.go_at(TaskState::Completed, NOW_MS))
            .await
    }));
    written.await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
}

/// Removes turn by turn until all old tasks are gone; then it is over.
async fn prune(repository: &SeaOrmRepository, ada: &Scope, over: &AtomicBool) -> usize {
    let query = PruneQuery {
        agent: ada.agent.clone(),
        state: TaskState::Completed,
        before_ms: LATER_MS,
        limit: 24,
    };
    let mut tasks = 0;
    while !over.load(Ordering::Acquire) {
        let Pruned { tasks: gone, .. } = repository.prune(&query).await.unwrap();
        tasks += gone;
        if repository.get(ada, &old_id(OLD - 1)).await.unwrap().is_none() && gone == 0 {
            over.store(true, Ordering::Release);
        }
    }
    tasks
}

async fn compact(repository: &SeaOrmRepository, over: &AtomicBool) -> u64 {
    let mut events = 0;
    let mut query = CompactQuery {
        after: String::new(),
        before_ms: i64::MAX,
        limit: 30,
    };
    while !over.load(Ordering::Acquire) {
        let turn = repository.compact(&query).await.unwrap();
        events += turn.events;
        query.after = turn.next.unwrap_or_default();
    }
    events
}

/// Configurations for tasks that may go at any moment; how many found theirs.
async fn configure(repository: &SeaOrmRepository, ada: &Scope, over: &AtomicBool) -> usize {
    let (mut round, mut stored) = (0, 0);
    while !over.load(Ordering::Acquire) {
        let puts = (0..OLD).skip(round % 7).step_by(7).map(async |n| {
            let config = push_config(&old_id(n), &format!("p{round}"), "https://example.org");
            repository.put_push_config(ada, &config, 3).await
        });
        for put in join_all(puts).await {
            match put {
                Ok(found) => stored += usize::from(found),
                Err(error) => assert_eq!(error, Error::TooMany(3)),
            }
        }
        round += 1;
    }
    stored
}

/// Appends to all live tasks at once, with a snapshot now and then.
async fn append(repository: &SeaOrmRepository, sketches: &mut [Sketch], over: &AtomicBool) {
    let mut round = 0;
    while !over.load(Ordering::Acquire) {
        let writes: Vec<TaskWrite> = sketches
            .iter_mut()
            .rev()
            .map(|sketch| {
                let write = sketch.chunks(&["x", "y"]);
                match round % 3 {
                    0 => sketch.with_snapshot(write),
                    _ => write,
                }
            })
            .collect();
        for written in join_all(writes.into_iter().map(|write| repository.commit(write))).await {
            assert_eq!(written, Ok(()));
        }
        round += 1;
    }
}

/// New tasks under the keys of old ones, which have expired.
async fn bind_anew(repository: &SeaOrmRepository, ada: &Scope, over: &AtomicBool) -> usize {
    let mut bound = 0;
    for n in (0..OLD).rev() {
        if over.load(Ordering::Acquire) {
            break;
        }
        let write = |half: usize| TaskWrite {
            keys: (0..8)
                .map(|k| IdempotencyKey {
                    expires_ms: i64::MAX,
                    ..key_of((n + k * 31 + half) % OLD)
                })
                .collect(),
            ..Sketch::at(ada, &format!("new-{n:04}-{half}"), "c", LATER_MS).create()
        };
        let both = tokio::join!(repository.commit(write(0)), repository.commit(write(1)));
        for written in [both.0, both.1] {
            match written {
                Ok(()) => bound += 1,
                Err(error) => assert!(matches!(error, Error::KeyTaken(_)), "{error:?}"),
            }
        }
    }
    bound
}

async fn read(repository: &SeaOrmRepository, ada: &Scope, over: &AtomicBool) {
    for n in (0..OLD).cycle() {
        if over.load(Ordering::Acquire) {
            return;
        }
        let events = repository.events(ada, &old_id(n), 0, 9).await.unwrap();
        assert!(matches!(events.len(), 0 | 2), "half a task: {events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_remove_while_two_write() {
    let database = database();
    let settings = DatabaseSettings {
        committers: 3,
        ..DatabaseSettings::default()
    };
    let one = open_with(database.url(), &settings).await;
    let two = open_with(database.url(), &settings).await;
    let ada = scope("ada");
    old_tasks(&one, &ada).await;
    let mut live: Vec<Sketch> = (0..LIVE)
        .map(|n| Sketch::at(&ada, &format!("live-{n:02}"), "c", LATER_MS))
        .collect();
    for sketch in &mut live {
        one.commit(sketch.create()).await.unwrap();
    }
    let over = AtomicBool::new(false);
    let (gone_one, gone_two, events, stored, more, bound, ..) = tokio::join!(
        prune(&one, &ada, &over),
        prune(&two, &ada, &over),
        compact(&two, &over),
        configure(&one, &ada, &over),
        configure(&two, &ada, &over),
        bind_anew(&two, &ada, &over),
        append(&one, &mut live, &over),
        read(&one, &ada, &over),
        read(&two, &ada, &over),
    );
    assert_eq!(gone_one + gone_two, OLD, "each went once");
    assert!(events > 0 && stored + more > 0 && bound > 0);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.sql(deadlocks), "0");
    for sketch in &live {
        let found = two.get(&ada, &sketch.task.id).await.unwrap().unwrap();
        assert_eq!(found, sketch.stored());
    }
    one.close().await;
    two.close().await;
    let maintenance = Maintenance::open_postgres(database.url(), &settings)
        .await
        .unwrap();
    let verified = maintenance.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.findings);
    println!(
        "{OLD} tasks went, {events} events of live ones too; {} configurations, {bound} keys bound anew meanwhile",
        stored + more
    );
}

/// A task that somebody is at work on stays for this turn: nobody waits for a removal that waits.
#[tokio::test]
async fn a_task_that_somebody_holds_is_left_for_the_next_turn() {
    let database = database();
    let repository = Arc::new(open_with(database.url(), &DatabaseSettings::default()).await);
    let ada = scope("ada");
    for id in ["a", "b"] {
        let mut sketch = Sketch::new(&ada, id);
        let create = TaskWrite {
            keys: vec![key(&format!("key-{id}"))],
            ..sketch.create()
        };
        repository.commit(create).await.unwrap();
        repository.commit(sketch.go(TaskState::Completed)).await.unwrap();
    }
    let query = PruneQuery {
        agent: ada.agent.clone(),
        state: TaskState::Completed,
        before_ms: i64::MAX,
        limit: 100,
    };
    let holder = sea_orm::Database::connect(database.url()).await.unwrap();
    for lock in [
        "SELECT id FROM task WHERE id = 'a' FOR UPDATE",
        "SELECT key FROM idempotency_key WHERE task_id = 'a' FOR UPDATE",
    ] {
        let held = sea_orm::TransactionTrait::begin(&holder).await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&held, lock)
            .await
            .unwrap();
        let turn = repository.prune(&query).await.unwrap();
        assert!(turn.tasks <= 1 && !(turn.more && turn.tasks == 0), "{turn:?}");
        assert!(repository.get(&ada, "a").await.unwrap().is_some());
        assert_eq!(repository.get(&ada, "b").await, Ok(None));
        held.rollback().await.unwrap();
    }
    assert_eq!(repository.prune(&query).await.unwrap().tasks, 1);
    assert_eq!(repository.get(&ada, "a").await, Ok(None));
    holder.close().await.unwrap();
    repository.close().await;
}

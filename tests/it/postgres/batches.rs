//! Many writes in one transaction.

use a2ad::pb::TaskState;
use a2ad::repository::conformance::{Sketch, key, scope};
use a2ad::repository::sea_orm::DatabaseSettings;
use a2ad::repository::{Error, IdempotencyKey, TaskRepository as _, TaskWrite};
use futures_util::future::join_all;

use super::{open, open_with};
use crate::support::messages::get;
use crate::support::postgres::database;
use crate::support::wire::Wire;
use crate::support::world::{World, on_postgres};

fn one_committer() -> DatabaseSettings {
    DatabaseSettings {
        committers: 1,
        ..DatabaseSettings::default()
    }
}

/// A text that PostgreSQL can't store stands for any row that it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cant_be_stored_does_not_hurt_its_neighbours() {
    let database = database();
    let repository = open_with(database.url(), &one_committer()).await;
    let scope = scope("ada");
    let write = |n: usize| {
        let context = if n % 25 == 7 { "poison\0" } else { "context" };
        let create = Sketch::at(&scope, &format!("t{n:03}"), context, 1).create();
        TaskWrite {
            keys: vec![key(&format!("k{n}"))],
            ..create
        }
    };
    let results = join_all((0..200).map(|n| repository.commit(write(n)))).await;
    for (n, result) in results.iter().enumerate() {
        let stored = repository.get(&scope, &format!("t{n:03}")).await.unwrap();
        if n % 25 == 7 {
            assert!(matches!(result, Err(Error::Unavailable(_))), "{n}: {result:?}");
            assert_eq!(stored, None);
        } else {
            assert_eq!(*result, Ok(()), "{n}");
            assert!(stored.is_some());
        }
    }
    repository.close().await;
}

/// A key that the care for expired ones leaves alone.
fn lasting(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        expires_ms: i64::MAX,
        ..key(name)
    }
}

/// Two committers whose batches hold the same keys in different orders would wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committers_do_not_wait_for_each_other_in_circles() {
    let database = database();
    let settings = DatabaseSettings {
        committers: 4,
        ..DatabaseSettings::default()
    };
    let repository = open_with(database.url(), &settings).await;
    let scope = scope("ada");
    for round in 0..20 {
        let write = |n: usize| {
            let mut names: Vec<String> = (0..8).map(|k| format!("r{round}k{k}")).collect();
            names.rotate_left(n % 8);
            TaskWrite {
                keys: names.iter().map(|name| lasting(name)).collect(),
                ..Sketch::new(&scope, &format!("r{round}t{n}")).create()
            }
        };
        let results = join_all((0..16).map(|n| repository.commit(write(n)))).await;
        let wins = results.iter().filter(|result| result.is_ok()).count();
        let taken = results
            .iter()
            .filter(|result| matches!(result, Err(Error::KeyTaken(_))));
        assert_eq!((wins, taken.count()), (1, 15), "{results:?}");
    }
    assert_eq!(
        database.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
        "0"
    );
    repository.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_one_task_stay_in_order_whatever_the_number_of_committers() {
    for committers in [1, 2, 5] {
        let database = database();
        let settings = DatabaseSettings {
            committers,
            commit_batch_max: 7,
            ..DatabaseSettings::default()
        };
        let repository = open_with(database.url(), &settings).await;
        let live = async |n: usize| {
            let mut sketch = Sketch::new(&scope("ada"), &format!("t{n:03}"));
            repository.commit(sketch.create()).await.unwrap();
            let (one, two) = (sketch.chunks(&["x"]), sketch.go(TaskState::Completed));
            let (one, two) = tokio::join!(biased; repository.commit(one), repository.commit(two));
            one.and(two).unwrap();
            sketch
        };
        for sketch in join_all((0..100).map(live)).await {
            let stored = repository.get(&sketch.scope, &sketch.task.id).await;
            assert_eq!(stored, Ok(Some(sketch.stored())), "{committers} committers");
        }
        repository.close().await;
    }
}

/// PostgreSQL takes no U+0000 in texts: what callers name never gets as far.
#[tokio::test]
async fn a_zero_in_an_id_is_not_the_databases_trouble() {
    on_postgres(async {
        let world = World::new().await;
        for wire in Wire::ALL {
            let error = world.client(wire).call(get("echo", "a\0b")).await.unwrap_err();
            assert!(!error.retry, "{wire:?}: {error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_reopened_database_has_everything() {
    let database = database();
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    let repository = open(database.url()).await;
    repository.commit(sketch.create()).await.unwrap();
    repository.commit(sketch.go(TaskState::Working)).await.unwrap();
    repository.close().await;
    let repository = open(database.url()).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    repository.commit(sketch.go(TaskState::Completed)).await.unwrap();
    repository.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_does_not_overtake_the_write_before_it() {
    let database = database();
    let repository = open(database.url()).await;
    crate::repositories::renewals_stay_behind(&repository).await;
    repository.close().await;
}

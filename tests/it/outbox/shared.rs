//! Two processes that write, send, change configurations and remove on one PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};

use a2ad::repository::conformance::NOW_MS;
use a2ad::repository::{CompactQuery, PruneQuery};
use futures_util::future::join_all;
use sea_orm::TransactionTrait as _;

use super::*;

const TASKS: usize = 40;
const WRITES: usize = 12;

fn id(n: usize) -> String {
    format!("t{n:02}")
}

/// Plays tasks to their end, with configurations that come, change and go.
async fn write(repository: &SeaOrmRepository, tasks: impl Iterator<Item = usize>) {
    join_all(tasks.map(async |n| {
        let id = id(n);
        let mut sketch = task(repository, &id).await;
        let ada = sketch.scope.clone();
        for round in 0..WRITES {
            let mut write = sketch.chunks(&["x", "y"]);
            if round % 4 == 3 {
                write = sketch.with_snapshot(write);
                write.push_configs = vec![push_config(&id, "m", "https://two.org")];
            }
            repository.commit(write).await.unwrap();
            let config = push_config(&id, &format!("p{}", round % 3), "https://three.org");
            match round % 4 {
                0 => drop(repository.put_push_config(&ada, &config, 9).await.unwrap()),
                2 => drop(
                    repository
                        .delete_push_config(&ada, &id, &config.id)
                        .await
                        .unwrap(),
                ),
                _ => {}
            }
        }
        repository.commit(sketch.go(TaskState::Completed)).await.unwrap();
    }))
    .await;
}

/// Sends what is due, not all of it well, until `over`; how many were settled.
async fn send(repository: &SeaOrmRepository, over: &AtomicBool) -> usize {
    let query = ClaimQuery {
        limit: 7,
        deliveries_max: 4,
        ..all(HOUR)
    };
    let (mut settled, mut turn) = (0, 0);
    while !over.load(Ordering::Acquire) {
        let claimed = repository.claim(&query).await.unwrap().claimed;
        let settlements = claimed.iter().rev().map(|claimed| {
            turn += 1;
            let numbers: Vec<u64> = claimed
                .deliveries
                .iter()
                .map(|waiting| waiting.generation)
                .collect();
            let failure = Failure {
                status: Some(500),
                cause: "no".to_owned(),
            };
            let (done, next) = match turn % 5 {
                0 => (&numbers[..0], Next::Retry(Duration::ZERO, failure)),
                1 => (&numbers[..1], Next::GiveUp(failure)),
                2 => (&numbers[..1], Next::Postpone(Duration::ZERO)),
                _ => (&numbers[..], Next::Release),
            };
            settlement(claimed, done, next)
        });
        let settlements: Vec<Settlement> = settlements.collect();
        let held = repository.settle(&settlements).await.unwrap();
        settled += held.into_iter().filter(|held| *held).count();
    }
    settled
}

/// What operators and retention do, until `over`; tasks that went, and deliveries that were sent anew.
async fn keep_house(repository: &SeaOrmRepository, over: &AtomicBool) -> (usize, u64) {
    let prune = PruneQuery {
        agent: scope("ada").agent,
        state: TaskState::Completed,
        before_ms: i64::MAX,
        limit: 20,
    };
    let compact = CompactQuery {
        after: String::new(),
        before_ms: i64::MAX,
        limit: 20,
    };
    let dead = DeliveryFilter {
        state: Some(a2ad::repository::DeliveryState::Dead),
        ..DeliveryFilter::default()
    };
    let (mut gone, mut anew) = (0, 0);
    while !over.load(Ordering::Acquire) {
        gone += repository.prune(&prune).await.unwrap().tasks;
        repository.compact(&compact).await.unwrap();
        anew += repository.redeliver(&dead, None, 5).await.unwrap().count;
        repository.discard(&dead, None, 5).await.unwrap();
        repository.forget_dead(NOW_MS, 2).await.unwrap();
        repository
            .postpone_host(&scope("ada").owner, "two.org:443", Duration::ZERO)
            .await
            .unwrap();
    }
    (gone, anew)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_lose_nothing_and_wait_in_no_circle() {
    let database = database();
    let (one, two) = (
        open_postgres(database.url()).await,
        open_postgres(database.url()).await,
    );
    let over = AtomicBool::new(false);
    let whole = async {
        tokio::join!(
            write(&one, (0..TASKS).step_by(2)),
            write(&two, (1..TASKS).step_by(2))
        );
        let all_gone = async || one.agents().await.unwrap().is_empty();
        while !all_gone().await {
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::Release);
    };
    let ((), settled, more, (gone, anew), (gone_too, ..)) = tokio::join!(
        whole,
        send(&one, &over),
        send(&two, &over),
        keep_house(&one, &over),
        keep_house(&two, &over),
    );
    assert_eq!(gone + gone_too, TASKS, "each task goes once nothing of it waits");
    assert!(settled > 0 && more > 0 && anew > 0);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.sql(deadlocks), "0");
    assert_eq!(
        one.deliveries(&DeliveryFilter::default(), None, 9).await,
        Ok(Vec::new())
    );
    one.close().await;
    two.close().await;
    let maintenance = Maintenance::open_postgres(database.url(), &DatabaseSettings::default())
        .await
        .unwrap();
    let verified = maintenance.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.findings);
    println!(
        "{TASKS} tasks, {} claims settled, {anew} dead letters sent anew",
        settled + more
    );
}

/// Deliveries that come in front of a page while it waits for its streams push nothing off its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_changes_is_what_was_found_first() {
    let database = database();
    let repository = open_postgres(database.url()).await;
    let mut sketch = task(&repository, "t").await;
    repository
        .commit(sketch.chunks(&["2", "3", "4", "5"]))
        .await
        .unwrap();
    database.sql("UPDATE push_outbox SET dead_ms = 1 WHERE generation > 1");
    let dead = DeliveryFilter {
        state: Some(a2ad::repository::DeliveryState::Dead),
        ..DeliveryFilter::default()
    };
    let other = Database::connect(database.url()).await.unwrap();
    let begun = other.begin().await.unwrap();
    begun
        .execute_unprepared("SELECT 1 FROM push_config FOR UPDATE; UPDATE push_outbox SET dead_ms = 1")
        .await
        .unwrap();
    let changed = repository.redeliver(&dead, None, 2);
    let let_go = async {
        let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock'";
        while database.sql(waits) == "0" {
            tokio::task::yield_now().await;
        }
        begun.commit().await.unwrap();
    };
    let (turn, ()) = tokio::join!(changed, let_go);
    let turn = turn.unwrap();
    let behind = turn.next.as_ref().map(|key| key.generation);
    assert_eq!((turn.count, behind), (2, Some(3)));
    let rest = repository.redeliver(&dead, turn.next.as_ref(), 9).await.unwrap();
    assert_eq!(rest.count, 2);
    let left = repository.deliveries(&dead, None, 9).await.unwrap();
    let left: Vec<u64> = left.iter().map(|delivery| delivery.key.generation).collect();
    assert_eq!(left, [1], "only what came meanwhile is left");
    repository.close().await;
}

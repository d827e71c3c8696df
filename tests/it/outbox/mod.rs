//! Push notifications that wait: the conformance suite on every backend, and what only databases can do wrong.

mod model;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use a2ad::pb::TaskState;
use a2ad::repository::conformance::{Both, Sketch, push_config, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::repository::{
    ClaimQuery, Claimed, DeliveryFilter, Error, Except, Failure, Next, PushRepository as _, Settlement,
    TaskRepository as _, TaskWrite,
};
use a2ad::shutdown::Shutdown;
use a2ad_migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::postgres::database;
use crate::support::raw::Raw;

const HOUR: Duration = Duration::from_secs(3_600);

mod memory {
    use super::*;

    a2ad::push_conformance!(async || (Both::of(Arc::new(MemoryRepository::new())), ()));
}

mod sqlite {
    use super::*;

    a2ad::push_conformance!(fresh);

    /// A database in a folder that goes away with the test.
    pub async fn fresh() -> (Both, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let repository = open_sqlite(&folder.path().join("tasks.db")).await;
        (Both::of(Arc::new(repository)), folder)
    }
}

mod postgres {
    use super::*;
    use crate::support::postgres::Database;

    a2ad::push_conformance!(fresh);

    /// A database on the shared server that goes away with the test.
    pub async fn fresh() -> (Both, Database) {
        let database = database();
        let repository = open_postgres(database.url()).await;
        (Both::of(Arc::new(repository)), database)
    }
}

async fn open_sqlite(path: &std::path::Path) -> SeaOrmRepository {
    SeaOrmRepository::open_sqlite(path, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap()
}

async fn open_postgres(url: &str) -> SeaOrmRepository {
    SeaOrmRepository::open_postgres(url, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap()
}

fn all(ttl: Duration) -> ClaimQuery {
    ClaimQuery {
        limit: 100,
        deliveries_max: 100,
        ttl,
        except: Except::default(),
    }
}

fn settlement(claimed: &Claimed, done: &[u64], next: Next) -> Settlement {
    Settlement {
        stream: claimed.stream.clone(),
        claim: claimed.claim,
        done: done.to_vec(),
        next,
    }
}

/// A task of Ada with the configuration `p`; its creation waits.
async fn task(repository: &SeaOrmRepository, id: &str) -> Sketch {
    let mut sketch = Sketch::new(&scope("ada"), id);
    let create = TaskWrite {
        push_configs: vec![push_config(id, "p", "https://example.org/hook")],
        ..sketch.create()
    };
    repository.commit(create).await.unwrap();
    sketch
}

#[tokio::test]
async fn a_reopened_database_has_its_outbox_and_no_claims() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open_sqlite(&path).await;
    for id in ["a", "b", "c"] {
        task(&repository, id).await;
    }
    let claimed = repository.claim(&all(HOUR)).await.unwrap().claimed;
    let failure = Failure {
        status: None,
        cause: "no answer".to_owned(),
    };
    let settlements = [
        settlement(&claimed[0], &[1], Next::Release),
        settlement(&claimed[1], &[], Next::Retry(HOUR, failure)),
    ];
    assert_eq!(repository.settle(&settlements).await, Ok(vec![true, true]));
    let before = repository
        .deliveries(&DeliveryFilter::default(), None, 9)
        .await
        .unwrap();
    assert_eq!(before.len(), 2);
    repository.close().await;
    drop(repository);

    let repository = open_sqlite(&path).await;
    let after = repository
        .deliveries(&DeliveryFilter::default(), None, 9)
        .await
        .unwrap();
    assert_eq!(after, before);
    // Whoever had claimed the third is dead, however long he wanted to take.
    let again = repository.claim(&all(HOUR)).await.unwrap().claimed;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].stream, claimed[2].stream);
    assert!(again[0].claim > claimed[2].claim);
}

/// What can't be opened rests and is told, and takes nobody's place.
#[tokio::test]
async fn a_configuration_that_cant_be_opened_rests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open_sqlite(&path).await;
    for id in ["a", "b", "c"] {
        task(&repository, id).await;
    }
    let raw = Raw::open(&path).await;
    raw.execute("UPDATE push_config SET config = x'00' WHERE task_id <> 'c'")
        .await;
    raw.execute("UPDATE push_config SET due_ms = due_ms - 1000 WHERE task_id <> 'c'")
        .await;
    let one = ClaimQuery {
        limit: 1,
        ..all(HOUR)
    };
    let claimed = repository.claim(&one).await.unwrap().claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(&*claimed[0].stream.task_id, "c");
    let settled = [settlement(&claimed[0], &[1], Next::Release)];
    assert_eq!(repository.settle(&settled).await, Ok(vec![true]));
    let until = repository
        .next_due(&Except::default())
        .await
        .unwrap()
        .wait
        .unwrap();
    assert!(until > HOUR / 2 && until <= HOUR, "{until:?}");
    let left = repository
        .deliveries(&DeliveryFilter::default(), None, 9)
        .await
        .unwrap();
    assert_eq!((left.len(), left[0].attempts), (2, 0));
}

/// However many can't be opened, a claim goes past them in so many rounds, and the next claim goes on behind.
#[tokio::test]
async fn a_claim_goes_past_what_cant_be_opened_in_bounded_rounds() {
    const ROUNDS: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open_sqlite(&path).await;
    for n in 0..=ROUNDS {
        task(&repository, &format!("t{n:02}")).await;
    }
    let raw = Raw::open(&path).await;
    raw.execute("UPDATE push_config SET config = x'00', due_ms = due_ms - 1000 WHERE task_id <> 't16'")
        .await;
    let one = ClaimQuery {
        limit: 1,
        ..all(HOUR)
    };
    assert_eq!(repository.claim(&one).await.unwrap().claimed, []);
    assert_eq!(
        repository.next_due(&Except::default()).await.unwrap().wait,
        Some(Duration::ZERO)
    );
    let claimed = repository.claim(&one).await.unwrap().claimed;
    assert_eq!(&*claimed[0].stream.task_id, "t16");
}

/// Whatever breaks a commit off: there is neither the event nor anything to send.
#[tokio::test]
async fn what_breaks_off_leaves_neither_event_nor_delivery() {
    let database = database();
    let repository = open_postgres(database.url()).await;
    let mut sketch = task(&repository, "t").await;
    let claimed = repository.claim(&all(HOUR)).await.unwrap().claimed;
    let settled = [settlement(&claimed[0], &[1], Next::Release)];
    assert_eq!(repository.settle(&settled).await, Ok(vec![true]));
    database.sql(
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'; \
         CREATE TRIGGER cut BEFORE INSERT ON push_outbox FOR EACH ROW EXECUTE FUNCTION cut()",
    );
    let before = sketch.stored();
    let write = sketch.chunks(&["x", "y"]);
    let cut = repository.commit(write.clone()).await;
    assert!(matches!(cut, Err(Error::Unavailable(_))), "{cut:?}");
    assert_eq!(repository.get(&scope("ada"), "t").await, Ok(Some(before)));
    assert_eq!(
        repository.deliveries(&DeliveryFilter::default(), None, 9).await,
        Ok(Vec::new())
    );
    assert_eq!(repository.next_due(&Except::default()).await.unwrap().wait, None);

    database.sql("DROP TRIGGER cut ON push_outbox");
    assert_eq!(repository.commit(write).await, Ok(()));
    assert_eq!(
        repository.get(&scope("ada"), "t").await,
        Ok(Some(sketch.stored()))
    );
    let claimed = repository.claim(&all(HOUR)).await.unwrap().claimed;
    let numbers: Vec<u64> = claimed[0]
        .deliveries
        .iter()
        .map(|waiting| waiting.generation)
        .collect();
    assert_eq!(numbers, [2, 3]);
    repository.close().await;
}

/// Configurations from before there was an outbox belong to who has their tasks, and what comes from now on waits for
/// them.
async fn configurations_of_an_older_database(url: &str, open: impl AsyncFn() -> SeaOrmRepository) {
    let repository = open().await;
    let mut sketch = task(&repository, "t").await;
    repository.close().await;
    drop(repository);
    let connection = Database::connect(url).await.unwrap();
    Migrator::down(&connection, Some(1)).await.unwrap();
    connection
        .execute_unprepared("INSERT INTO push_config (task_id, id, config) VALUES ('nowhere', 'p', 'x')")
        .await
        .unwrap();
    connection.close().await.unwrap();

    let repository = open().await;
    assert_eq!(repository.claim(&all(HOUR)).await.unwrap().claimed, []);
    repository.commit(sketch.go(TaskState::Working)).await.unwrap();
    let claimed = repository.claim(&all(HOUR)).await.unwrap().claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].scope, scope("ada"));
    assert_eq!(claimed[0].deliveries[0].generation, 2);
    repository.close().await;
}

#[tokio::test]
async fn an_older_sqlite_database_gets_an_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let url = format!("sqlite://{}", path.display());
    configurations_of_an_older_database(&url, async || open_sqlite(&path).await).await;
}

#[tokio::test]
async fn an_older_postgres_database_gets_an_outbox() {
    let database = database();
    let url = database.url();
    configurations_of_an_older_database(url, async || open_postgres(url).await).await;
}

/// What an operator is told of the outbox: how much there is, and what is wrong with it.
#[tokio::test]
async fn an_operator_is_told_of_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open_sqlite(&path).await;
    let mut sketch = task(&repository, "t").await;
    repository.commit(sketch.chunks(&["x", "y"])).await.unwrap();
    let claimed = repository.claim(&all(HOUR)).await.unwrap().claimed;
    let failure = Failure {
        status: Some(500),
        cause: "no".to_owned(),
    };
    let settled = [settlement(&claimed[0], &[], Next::GiveUp(failure))];
    assert_eq!(repository.settle(&settled).await, Ok(vec![true]));
    let maintenance = Maintenance::open_sqlite(&path).await.unwrap();
    let stats = maintenance.stats().await.unwrap();
    assert_eq!(
        (stats.push_configs, stats.push_waiting, stats.push_dead),
        (1, 2, 1)
    );
    assert!(maintenance.verify().await.unwrap().is_sound());
    let raw = Raw::open(&path).await;
    for (damage, what) in [
        ("UPDATE push_config SET due_ms = NULL", "would wait for ever"),
        (
            "INSERT INTO push_outbox (task_id, config_id, generation, since_ms) VALUES ('t', 'p', 9, 0)",
            "not in the log",
        ),
        (
            "INSERT INTO push_outbox (task_id, config_id, generation, since_ms) VALUES ('t', 'q', 1, 0)",
            "without a push configuration",
        ),
    ] {
        raw.execute(damage).await;
        let verified = maintenance.verify().await.unwrap();
        assert!(
            verified
                .findings
                .iter()
                .any(|finding| finding.what.contains(what)),
            "{what}: {:?}",
            verified.findings
        );
    }
    maintenance.close().await.unwrap();
}

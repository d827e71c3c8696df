//! The limits of a session fire, on a2ad's own connections: who waits is told, and everything goes on.

use std::time::{Duration, Instant};

use a2ad::error::Kind;
use a2ad::repository::conformance::{Sketch, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::repository::{Error, TaskRepository as _};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use super::away::proxied;
use super::open_with;
use super::proxy::Break;
use crate::support::engine::{eventually, patiently};
use crate::support::postgres::database;

/// What fires is far below what else would end the wait.
const SOON: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(300);

fn patient() -> DatabaseSettings {
    DatabaseSettings {
        committers: 1,
        commit_timeout: LATE,
        read_timeout: LATE,
        statement_timeout: LATE,
        lock_timeout: LATE,
        idle_transaction_timeout: LATE,
        ..DatabaseSettings::default()
    }
}

async fn store(repository: &SeaOrmRepository, id: &str, context: &str) -> Result<(), Error> {
    let create = Sketch::at(&scope("ada"), id, context, 1).create();
    patiently(repository.commit(create)).await
}

fn assert_unavailable(written: &Result<(), Error>, said: &str) {
    let Err(Error::Unavailable(cause)) = written else {
        panic!("{written:?}");
    };
    assert!(cause.contains(said), "{cause}");
    let told = a2ad::error::Error::from(written.clone().unwrap_err());
    assert_eq!(told.kind, Kind::Unavailable);
}

#[tokio::test]
async fn a_lock_that_somebody_keeps_is_not_waited_for() {
    let database = database();
    let settings = DatabaseSettings {
        lock_timeout: SOON,
        ..patient()
    };
    let repository = open_with(database.url(), &settings).await;
    let holder = sea_orm::Database::connect(database.url()).await.unwrap();
    let held = holder.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE task IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let begun = Instant::now();
    assert_unavailable(&store(&repository, "t", "c").await, "lock timeout");
    assert!(begun.elapsed() >= SOON);
    assert_eq!(repository.get(&scope("ada"), "t").await, Ok(None));
    held.rollback().await.unwrap();
    assert_eq!(store(&repository, "t", "c").await, Ok(()));
    holder.close().await.unwrap();
    repository.close().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let database = database();
    let settings = DatabaseSettings {
        statement_timeout: SOON,
        ..patient()
    };
    let repository = open_with(database.url(), &settings).await;
    database.sql(
        "CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN
             PERFORM pg_sleep(CASE NEW.context_id WHEN 'slow' THEN 600 ELSE 0 END); RETURN NEW; END $$ LANGUAGE plpgsql;
         CREATE TRIGGER slow BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION slow();",
    );
    assert_unavailable(&store(&repository, "t", "slow").await, "statement timeout");
    assert_eq!(repository.get(&scope("ada"), "t").await, Ok(None));
    // It may be a busy machine that is slow.
    eventually(async || store(&repository, "t", "quick").await.is_ok()).await;
    repository.close().await;
}

/// The wire swallows a COMMIT: the server sees a transaction in which nothing happens any more, and ends it.
#[tokio::test]
async fn a_transaction_in_which_nothing_happens_is_ended() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let settings = DatabaseSettings {
        idle_transaction_timeout: SOON,
        ..patient()
    };
    let repository = open_with(&url, &settings).await;
    assert_eq!(store(&repository, "before", "c").await, Ok(()));
    proxy.break_next(Break::Swallow);
    assert_unavailable(&store(&repository, "t", "c").await, "");
    assert_eq!(proxy.broken(), 1);
    let idle = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    assert_eq!(database.sql(idle), "0");
    assert_eq!(repository.get(&scope("ada"), "t").await, Ok(None));
    eventually(async || store(&repository, "t", "c").await.is_ok()).await;
    repository.close().await;
}

/// A disk that is full, and what else a server can be out of: everybody in the batch is told, and nobody is believed
/// to have written something that can't be stored.
#[tokio::test]
async fn a_server_that_is_out_of_something_is_not_available() {
    let database = database();
    let repository = open_with(database.url(), &patient()).await;
    database.sql(
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
             IF NEW.context_id LIKE 'E%' THEN
                 RAISE EXCEPTION 'out of it' USING ERRCODE = substr(NEW.context_id, 2);
             END IF; RETURN NEW; END $$ LANGUAGE plpgsql;
         CREATE TRIGGER refuse BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION refuse();",
    );
    for code in [
        "08006", "53000", "53100", "53200", "53300", "53400", "57P01", "57P02", "57P03", "58030",
    ] {
        let written = store(&repository, &format!("t{code}"), &format!("E{code}")).await;
        assert_unavailable(&written, "out of it");
        assert_eq!(store(&repository, code, "fine").await, Ok(()), "behind {code}");
    }
    repository.close().await;
}

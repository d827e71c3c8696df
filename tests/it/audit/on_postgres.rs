//! Records of several nodes in one PostgreSQL.

use a2ad::audit::{Row, Store as _};
use a2ad::repository::sea_orm::{AuditRecords, DatabaseSettings};

use super::program::Place;
use crate::support::postgres::database;
use crate::support::wire::Wire;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_share_a_database_have_a_chain_each() {
    let database = database();
    let (one, two) = (Place::new(""), Place::new(""));
    let servers = [one.start_on(database.url()), two.start_on(database.url())];
    let callers = [
        one.caller(&servers[0], "a").await,
        two.caller(&servers[1], "a").await,
    ];
    for number in 0..10 {
        let id = format!("call-{number}");
        callers[number % 2].send(Wire::Grpc, &id, "x").await.unwrap();
    }
    for server in servers {
        server.terminate();
        assert!(server.ended().success());
    }
    let verify = || one.verify(&["--database", database.url()]);
    let (whole, text) = verify();
    assert!(whole && text.contains("in 2 chains"), "{text}");
    let names = "SELECT SUM((LENGTH(record) - LENGTH(REPLACE(record, '\"SendMessage\"', ''))) / 13) FROM audit_record";
    assert_eq!(database.sql(names), "10");
    let again = one.start_on(database.url());
    again.terminate();
    assert!(again.ended().success());
    assert!(verify().0);
    database.sql("UPDATE audit_record SET record = replace(record, 'call-3', 'call-4')");
    let (whole, text) = verify();
    assert!(!whole && text.contains("was changed"), "{text}");
}

fn row(chain: &str, seq: u64, at_ms: i64) -> Row {
    Row {
        chain: chain.to_owned(),
        seq,
        at_ms,
        text: format!("{chain}-{seq}"),
    }
}

#[tokio::test]
async fn rows_are_found_and_removed_by_their_time() {
    let database = database();
    super::program::migrate(database.url());
    let opened = AuditRecords::open_postgres(database.url(), &DatabaseSettings::default()).await;
    let records = opened.unwrap();
    assert_eq!(records.newest().await.unwrap(), None);
    assert_eq!(records.last_before(100).await.unwrap(), None);
    let rows = [
        row("a", 1, 10),
        row("a", 2, 20),
        row("b", 1, 15),
        row("b", 2, 60),
        row("b", 3, 60),
    ];
    for _ in 0..2 {
        records.append(&rows).await.unwrap();
    }
    assert_eq!(records.newest().await.unwrap(), Some(row("b", 3, 60)));
    // Chain a does not go on behind 50.
    assert_eq!(
        records.last_before(50).await.unwrap(),
        Some(vec![row("b", 1, 15)])
    );
    assert_eq!(records.remove_before(50, 2).await.unwrap(), 2);
    assert_eq!(records.remove_before(50, 2).await.unwrap(), 1);
    assert_eq!(records.remove_before(50, 2).await.unwrap(), 0);
    assert_eq!(database.sql("SELECT COUNT(*) FROM audit_record"), "2");
    records.close().await.unwrap();
}

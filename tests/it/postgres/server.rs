//! The private PostgreSQL servers of the tests: they start, are shared, come back, and leave nothing behind.

use std::time::{Duration, Instant};

use crate::support::postgres::{Postgres, database};

#[test]
fn databases_of_the_shared_server_are_empty_and_apart() {
    let (one, two) = (database(), database());
    assert_ne!(one.url(), two.url());
    one.sql("CREATE TABLE t (n INT); INSERT INTO t VALUES (7)");
    assert_eq!(one.sql("SELECT n FROM t"), "7");
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(two.sql(tables), "0");
}

#[test]
fn a_server_of_ones_own_comes_back_and_leaves_nothing() {
    let server = Postgres::start();
    let database = server.database();
    database.sql("CREATE TABLE t (n INT); INSERT INTO t VALUES (7)");
    server.restart();
    assert_eq!(database.sql("SELECT n FROM t"), "7");
    assert_eq!(server.sql("SHOW synchronous_commit"), "off");
    let data = server.data();
    assert!(data.exists());
    drop((database, server));
    let begun = Instant::now();
    while data.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the server is left behind"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

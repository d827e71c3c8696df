//! Opening: URLs, users, TLS, migrations, and the settings of every session.

use std::time::Duration;

use a2ad::repository::conformance::{Sketch, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, OpenError, SeaOrmRepository, migrate_postgres};
use a2ad::repository::{ListQuery, TaskRepository as _};
use a2ad::shutdown::Shutdown;
use a2ad::tls::dev::{DevCa, Names, Validity};

use super::{open, open_with};
use crate::support::postgres::{Postgres, database};

async fn refusal(url: &str) -> String {
    let settings = DatabaseSettings {
        connect_timeout: Duration::from_secs(30),
        ..DatabaseSettings::default()
    };
    let opened = SeaOrmRepository::open_postgres(url, &settings, &Shutdown::new()).await;
    let error = opened.expect_err("refused");
    assert!(matches!(error, OpenError::Postgres { .. }), "{error:?}");
    let (text, debug) = (error.to_string(), format!("{error:?}"));
    assert!(!text.contains("hunter2") && !debug.contains("hunter2"), "{text}");
    text
}

#[tokio::test]
async fn what_is_wrong_is_said_without_the_password() {
    let database = database();
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let place = database.url().split('@').nth(1).unwrap().to_owned();
    database.sql(
        "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'secret'; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    );
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    for (url, cause, advice) in [
        (
            "postgres://u:hunter2@host:99999/db".to_owned(),
            "port",
            "write postgres://user",
        ),
        (
            format!("postgres://u:hunter2@127.0.0.1:{port}/db"),
            "refused",
            "server runs there",
        ),
        (
            format!("postgres://locked:hunter2@{place}"),
            "password authentication failed",
            "user and password",
        ),
        (
            format!("postgres://a2ad:hunter2@{}", place.replace(&name, "nowhere")),
            "does not exist",
            "create the database",
        ),
        (
            format!("postgres://a2ad:hunter2@{place}?sslmode=require"),
            "TLS",
            "sslmode",
        ),
    ] {
        let text = refusal(&url).await;
        assert!(text.contains(cause) && text.contains(advice), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("postgres://u:hunter2@{}/db", silent.local_addr().unwrap());
    let settings = DatabaseSettings {
        connect_timeout: Duration::from_millis(300),
        ..DatabaseSettings::default()
    };
    let opened = SeaOrmRepository::open_postgres(&url, &settings, &Shutdown::new()).await;
    let text = opened.expect_err("refused").to_string();
    assert!(
        text.contains("no answer within 300ms") && !text.contains("hunter2"),
        "{text}"
    );
}

/// The server's default is off, and the URL may say what it likes.
#[tokio::test]
async fn every_session_commits_synchronously_and_with_its_limits() {
    let database = database();
    assert_eq!(database.sql("SHOW synchronous_commit"), "off");
    let settings = DatabaseSettings {
        readers: 3,
        committers: 2,
        statement_timeout: Duration::from_millis(7_001),
        lock_timeout: Duration::from_millis(7_002),
        idle_transaction_timeout: Duration::from_millis(7_003),
        application_name: "ada's runtime".to_owned(),
        ..DatabaseSettings::default()
    };
    // Each session writes down what it runs with when it inserts a task.
    let url = format!("{}?options[synchronous_commit]=off", database.url());
    let repository = open_with(&url, &settings).await;
    database.sql(
        "CREATE TABLE seen (setting TEXT);
         CREATE FUNCTION look() RETURNS trigger AS $$ BEGIN
             INSERT INTO seen SELECT string_agg(current_setting(name), '|') FROM unnest(ARRAY['synchronous_commit',
                 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name']) name;
             RETURN NEW; END $$ LANGUAGE plpgsql;
         CREATE TRIGGER look AFTER INSERT ON task EXECUTE FUNCTION look();",
    );
    for n in 0..16 {
        let mut sketch = Sketch::new(&scope("ada"), &format!("t{n}"));
        repository.commit(sketch.create()).await.unwrap();
    }
    let seen = database.sql("SELECT DISTINCT setting FROM seen");
    assert_eq!(seen, "on|7001ms|7002ms|7003ms|ada's runtime");
    let tasks = (0..16).map(|n| {
        let repository = &repository;
        async move {
            repository
                .get(&scope("ada"), &format!("t{n}"))
                .await
                .unwrap()
                .unwrap()
        }
    });
    futures_util::future::join_all(tasks).await;
    let sessions = database.sql(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'ada''s runtime' \
         AND datname = current_database()",
    );
    assert!(
        (3..=5).contains(&sessions.parse::<u32>().unwrap()),
        "{sessions} sessions"
    );
    repository.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_starters_migrate_once() {
    let (database, settings) = (database(), DatabaseSettings::default());
    let starts = (0..6).map(|_| migrate_postgres(database.url(), &settings));
    let applied: Vec<usize> = futures_util::future::join_all(starts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        applied.iter().filter(|applied| **applied > 0).count(),
        1,
        "{applied:?}"
    );
    let opens = (0..4).map(|_| open(database.url()));
    for repository in futures_util::future::join_all(opens).await {
        assert_eq!(repository.check().await, Ok(()));
        repository.close().await;
    }
}

#[tokio::test]
async fn a_migration_waits_for_another_process() {
    let database = database();
    let holder = sea_orm::Database::connect(database.url()).await.unwrap();
    let lock = "SELECT pg_advisory_lock(1630691684)";
    let held = sea_orm::TransactionTrait::begin(&holder).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&held, lock)
        .await
        .unwrap();
    let url = database.url().to_owned();
    let (done, mut migrated) = tokio::sync::oneshot::channel();
    Shutdown::new().spawn("migration", async move {
        let _ = done.send(
            migrate_postgres(&url, &DatabaseSettings::default())
                .await
                .unwrap(),
        );
    });
    let waiting = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    crate::support::engine::eventually(async || database.sql(waiting) == "1").await;
    assert!(migrated.try_recv().is_err());
    assert_eq!(
        database.sql("SELECT COUNT(*) FROM pg_tables WHERE tablename = 'task'"),
        "0"
    );
    held.commit().await.unwrap();
    holder.close().await.unwrap();
    assert!(crate::support::engine::patiently(migrated).await.unwrap() > 0);
}

/// Pages follow the bytes of the ids, also where the server sorts as people do.
#[tokio::test]
async fn the_order_of_pages_does_not_depend_on_the_servers_language() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE german TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'");
    let url = server.url_of("german");
    let repository = open(&url).await;
    let scope = scope("ada");
    let mut ids = ["a", "B", "ä", "Z", "z", "1", "_"];
    for id in ids {
        repository.commit(Sketch::new(&scope, id).create()).await.unwrap();
    }
    ids.sort_unstable();
    ids.reverse();
    let mut query = ListQuery {
        limit: 1,
        count_limit: 9,
        ..ListQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = repository.list(&scope, &query).await.unwrap();
        found.extend(page.tasks.into_iter().map(|stored| stored.task.id));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ids);
    repository.close().await;
}

/// A server that shows a certificate for localhost, and files with the CA that issued it and with another one.
pub(super) struct Encrypted {
    pub server: Postgres,
    pub good: String,
    pub bad: String,
    _folder: tempfile::TempDir,
}

impl Encrypted {
    pub fn start() -> Self {
        let (ours, other) = (
            DevCa::generate("ours", Validity::days(1)),
            DevCa::generate("other", Validity::days(1)),
        );
        let (ours, other) = (ours.unwrap(), other.unwrap());
        let names = Names {
            dns: vec!["localhost".to_owned()],
            ..Names::default()
        };
        let issued = ours.issue_server(&names, Validity::days(1)).unwrap();
        let server = Postgres::start();
        server.install("server.crt", &issued.cert_pem);
        server.install("server.key", &issued.key_pem);
        server.configure("ssl = on\n");
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, ca: &DevCa| {
            let path = folder.path().join(name);
            std::fs::write(&path, ca.cert_pem()).unwrap();
            path.display().to_string()
        };
        Self {
            good: file("good.pem", &ours),
            bad: file("bad.pem", &other),
            server,
            _folder: folder,
        }
    }

    pub fn by_name(&self) -> String {
        self.server.url().replace("127.0.0.1", "localhost")
    }
}

/// It is verified against the CA that the URL names, and no other.
#[tokio::test]
async fn the_servers_certificate_is_verified() {
    let encrypted = Encrypted::start();
    let Encrypted {
        server, good, bad, ..
    } = &encrypted;
    let (by_address, by_name) = (server.url(), encrypted.by_name());

    let repository = open(&format!("{by_name}?sslmode=verify-full&sslrootcert={good}")).await;
    repository
        .commit(Sketch::new(&scope("ada"), "t").create())
        .await
        .unwrap();
    assert!(repository.get(&scope("ada"), "t").await.unwrap().is_some());
    let encrypted = "SELECT COUNT(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'a2ad'";
    let sessions = server.sql(encrypted);
    assert!(
        sessions.ends_with("|t") && !sessions.starts_with('0'),
        "{sessions}"
    );
    repository.close().await;

    for refused in [
        format!("{by_name}?sslmode=verify-full&sslrootcert={bad}"),
        format!("{by_name}?sslmode=verify-ca&sslrootcert={bad}"),
        format!("{by_address}?sslmode=verify-full&sslrootcert={good}"),
        format!("{by_name}?sslmode=verify-full&sslrootcert={good}.missing"),
    ] {
        let text = refusal(&refused).await;
        assert!(text.contains("sslrootcert, and the server"), "{refused}: {text}");
    }
    let lenient = open(&format!("{by_address}?sslmode=verify-ca&sslrootcert={good}")).await;
    lenient.close().await;
}

//! `a2ad db`: what an operator does with a database, while a server uses it and when none does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use a2ad::pb::TaskState;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{PROGRAM, Server};
use crate::support::messages::{get, message, send_of, state, task};
use crate::support::postgres;
use crate::support::raw::Raw;
use crate::support::wire::{TestClient, Wire};

fn url(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

fn db(command: &str, database: &Path, more: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["db", command, "--database", &url(database)])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

async fn echo(client: &TestClient, n: usize) -> String {
    let sent = client
        .call(send_of("echo", message(&format!("m{n}"), "hello")))
        .await;
    task(sent.unwrap()).id
}

/// A database that a server has left: tasks of echo, and one of bench with a long log and snapshots.
struct Left {
    _folder: TempDir,
    database: PathBuf,
    ids: Vec<String>,
    long: String,
}

impl Left {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a2ad.db");
        let server = Server::start(&["--database", &url(&database)]);
        let client = TestClient::new(server.addr, Wire::Grpc);
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(echo(&client, n).await);
        }
        let ticks = send_of("bench", message("ticks", "ticks:200:10000:0:64"));
        let long = task(client.call(ticks).await.unwrap());
        assert_eq!(state(&long), TaskState::Completed);
        server.terminate();
        assert!(server.ended().success());
        Self {
            _folder: folder,
            database,
            ids,
            long: long.id,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_count_what_is_there() {
    let left = Left::new().await;
    let stats: Value = serde_json::from_str(&printed(&db("stats", &left.database, &["--json"]))).unwrap();
    let tasks = stats["tasks"].as_array().unwrap();
    let of = |agent: &str| tasks.iter().find(|count| count["agent"] == agent).unwrap();
    assert_eq!(
        (&of("echo")["tasks"], &of("bench")["tasks"]),
        (&5.into(), &1.into())
    );
    assert_eq!(of("echo")["state"], "TASK_STATE_COMPLETED");
    let words = printed(&db("stats", &left.database, &[]));
    assert!(words.contains("oldest task       created 2"), "{words}");
    assert!(of("bench")["events"].as_u64() > Some(200), "{stats}");
    for count in [
        "events",
        "commits",
        "event_bytes",
        "snapshots",
        "snapshot_bytes",
        "database_bytes",
        "oldest_ms",
    ] {
        assert!(stats[count].as_u64() > Some(0), "{count}: {stats}");
    }
    assert!(stats["schema"].as_str().unwrap().starts_with('m'), "{stats}");
    let lines = printed(&db("stats", &left.database, &[]));
    assert!(lines.contains("5 of echo COMPLETED"), "{lines}");

    let missing = db("stats", &left.database.with_file_name("missing.db"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("there is no database"),
        "{missing:?}"
    );
}

/// A copy that is made under load is sound, has all that was acknowledged before, and serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_made_while_a_server_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("a2ad.db"), folder.path().join("copy.db"));
    let server = Server::start(&["--database", &url(&database)]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    let mut before = Vec::new();
    for n in 0..50 {
        before.push(echo(&client, n).await);
    }
    // Some megabytes, so that copying them takes its time.
    let large = async |n: usize| {
        let ticks = send_of("bench", message(&format!("large{n}"), "ticks:500:100000:0:2000"));
        task(client.call(ticks).await.unwrap())
    };
    futures_util::future::join_all((0..8).map(large)).await;
    let (place, target) = (database.clone(), copy.clone());
    let look = move || {
        let copied = db("backup", &place, &[target.to_str().unwrap()]);
        (copied, db("verify", &place, &[]))
    };
    let mut looking = tokio::task::spawn_blocking(look);
    let mut during = 0;
    let (copied, verified) = loop {
        tokio::select! {
            outputs = &mut looking => break outputs.unwrap(),
            _ = echo(&client, 50 + during) => during += 1,
        }
    };
    assert!(during > 0, "nothing was written meanwhile");
    for said in [printed(&copied), printed(&verified)] {
        assert!(said.contains("0 findings"), "{said}");
    }

    let again = db("backup", &database, &[copy.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("never replaces"), "{again:?}");
    let nowhere = folder.path().join("no/folder/copy.db");
    let nowhere = db("backup", &database, &[nowhere.to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        text(&nowhere.stderr).contains("check that its folder exists"),
        "{nowhere:?}"
    );
    drop(server);
    printed(&db("verify", &copy, &[]));
    let server = Server::start(&["--database", &url(&copy)]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    for id in &before {
        let read = client.call(get("echo", id)).await.unwrap();
        assert_eq!(state(&read), TaskState::Completed);
    }
    eprintln!(
        "a copy with {} tasks and more, made while {during} others were written",
        before.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_damaged_database_is_none() {
    let left = Left::new().await;
    let raw = Raw::open(&left.database).await;
    raw.flip("task_log", "events", &format!("task_id = '{}'", left.ids[0]), 99)
        .await;
    raw.close().await;
    let copy = left.database.with_file_name("copy.db");
    let output = db("backup", &left.database, &[copy.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&left.ids[0]), "{output:?}");
    assert!(!copy.exists(), "a copy that is not sound looks like one that is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_removes_what_its_dry_run_names() {
    let left = Left::new().await;
    let policy = [
        "--set",
        "limits.idempotency_ttl_ms=1",
        "--set",
        "retention.completed_s=3600",
        "--set",
        "agents.bench.retention.completed_s=0",
    ];
    let dry = [&policy[..], &["--dry-run"]].concat();
    assert!(printed(&db("prune", &left.database, &dry)).contains("0 tasks would be removed"));
    assert!(printed(&db("prune", &left.database, &policy)).starts_with("0 tasks and 0 events"));
    let raw = Raw::open(&left.database).await;
    raw.execute("UPDATE task SET status_ms = status_ms - 3600001")
        .await;

    let server = Server::start(&["--database", &url(&left.database), "--default-agent", "echo"]);
    let named = printed(&db("prune", &left.database, &dry));
    assert!(
        named.contains("5 tasks of echo COMPLETED would go, with"),
        "{named}"
    );
    assert!(named.contains("5 tasks would be removed"), "{named}");
    raw.execute(
        "INSERT INTO push_outbox (task_id, config_id, generation, since_ms, dead_ms) \
         VALUES ('t', 'p', 1, 0, 1), ('t', 'p', 2, 0, 1), ('t', 'p', 3, 0, 9e15), ('t', 'p', 4, 0, NULL)",
    )
    .await;
    let named = printed(&db("prune", &left.database, &dry));
    assert!(
        named.contains("2 dead letters of push notifications would go"),
        "{named}"
    );
    raw.execute("DELETE FROM push_outbox WHERE task_id = 't'").await;
    let locked = db("prune", &left.database, &policy);
    assert_eq!(locked.status.code(), Some(1));
    assert!(
        text(&locked.stderr).contains("another process uses"),
        "{locked:?}"
    );
    drop(server);
    assert_eq!(raw.count("task").await, 6, "the dry run removes nothing");

    assert!(printed(&db("prune", &left.database, &policy)).starts_with("5 tasks and "));
    assert_eq!(raw.count("task").await, 1);
    assert_eq!(
        raw.count("task_log").await,
        raw.count(&format!("task_log WHERE task_id = '{}'", left.long))
            .await
    );
}

/// Everything that can be wrong is found, told with the task that it is of, and ends with a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_is_wrong() {
    let left = Left::new().await;
    let (id, long) = (left.ids[2].as_str(), left.long.as_str());
    assert!(printed(&db("verify", &left.database, &[])).contains("6 tasks"));
    // What is done to the database, to which task, and what must be said.
    let wrong = [
        (
            format!("UPDATE task SET state = 4 WHERE id = '{id}'"),
            id,
            "the state",
        ),
        (
            format!("UPDATE task SET status_ms = status_ms + 1 WHERE id = '{id}'"),
            id,
            "the status time",
        ),
        (
            format!("UPDATE task SET context_id = 'c' WHERE id = '{id}'"),
            id,
            "the context",
        ),
        (
            format!("UPDATE task SET generation = generation + 1 WHERE id = '{id}'"),
            id,
            "the log ends here",
        ),
        (
            format!("UPDATE task SET snapshot_generation = 1 WHERE id = '{long}'"),
            long,
            "the newest snapshot",
        ),
        (
            format!("UPDATE task SET first_generation = 2 WHERE id = '{id}'"),
            id,
            "missing",
        ),
        (
            format!("DELETE FROM task_log WHERE task_id = '{id}'"),
            id,
            "the log ends here",
        ),
        (
            format!("DELETE FROM task_log WHERE task_id = '{long}' AND first_generation = 1"),
            long,
            "event 1: the event is missing",
        ),
        (
            format!("DELETE FROM task WHERE id = '{id}'"),
            id,
            "events without a task",
        ),
        (
            "INSERT INTO push_config (task_id, id, config) VALUES ('nowhere', 'p', x'00')".to_owned(),
            "nowhere",
            "push configurations without a task",
        ),
        (
            "INSERT INTO idempotency_key VALUES ('echo', 'o', 'k', 'nowhere', x'00', 0, 0)".to_owned(),
            "nowhere",
            "idempotency keys that lead nowhere",
        ),
        (
            format!("UPDATE task_log SET events = x'00' WHERE task_id = '{id}'"),
            id,
            "event 1",
        ),
        (
            format!(
                "UPDATE task_log SET snapshot = x'0001020304' WHERE task_id = '{long}' AND snapshot IS NOT NULL"
            ),
            long,
            "checksum",
        ),
        (
            format!(
                "UPDATE task_log SET events = (SELECT events FROM task_log WHERE task_id = '{}') WHERE task_id = '{id}'",
                left.ids[3]
            ),
            id,
            "checksum",
        ),
    ];
    for (n, (sql, task_id, said)) in wrong.iter().enumerate() {
        let broken = left.database.with_file_name(format!("broken-{n}.db"));
        std::fs::copy(&left.database, &broken).unwrap();
        let raw = Raw::open(&broken).await;
        raw.execute(sql).await;
        raw.close().await;
        let output = db("verify", &broken, &[]);
        assert_eq!(output.status.code(), Some(1), "{sql}: {output:?}");
        let findings = text(&output.stdout);
        let found = findings
            .lines()
            .any(|line| line.contains(*task_id) && line.contains(said));
        assert!(found, "{sql}: {findings}");
        let json: Value = serde_json::from_slice(&db("verify", &broken, &["--json"]).stdout).unwrap();
        assert_eq!(json["findings"][0]["task_id"], *task_id, "{json}");
    }
    eprintln!("{} kinds of damage, {} found", wrong.len(), wrong.len());
}

/// The same commands on PostgreSQL, but for the copy, which PostgreSQL's own tool makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_looked_after_too() {
    let database = postgres::database();
    let server = Server::start(&["--database", database.url()]);
    let client = TestClient::new(server.addr, Wire::Grpc);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(echo(&client, n).await);
    }
    let ticks = send_of("bench", message("ticks", "ticks:200:10000:0:64"));
    let long = task(client.call(ticks).await.unwrap());
    let run = |command: &str, more: &[&str]| {
        Command::new(PROGRAM)
            .args(["db", command, "--database", database.url()])
            .args(more)
            .output()
            .unwrap()
    };
    assert!(
        printed(&run("verify", &[])).contains("6 tasks"),
        "on the live database"
    );
    let stats: Value = serde_json::from_str(&printed(&run("stats", &["--json"]))).unwrap();
    assert!(stats["events"].as_u64() > Some(200), "{stats}");
    assert!(stats["database_bytes"].as_u64() > Some(0), "{stats}");
    assert!(stats["wal_bytes"].is_null(), "{stats}");
    let copied = run("backup", &["copy.db"]);
    assert_eq!(copied.status.code(), Some(1));
    assert!(text(&copied.stderr).contains("pg_dump"), "{copied:?}");

    server.terminate();
    assert!(server.ended().success());
    let policy = [
        "--set",
        "limits.idempotency_ttl_ms=1",
        "--set",
        "agents.bench.retention.completed_s=3600",
    ];
    database.sql("UPDATE task SET status_ms = status_ms - 3600001");
    let dry = printed(&run("prune", &[&policy[..], &["--dry-run"]].concat()));
    assert!(dry.contains("1 tasks of bench COMPLETED would go"), "{dry}");
    assert!(printed(&run("prune", &policy)).starts_with("1 tasks and "));
    let left = database.sql(&format!(
        "SELECT COUNT(*) FROM task_log WHERE task_id = '{}'",
        long.id
    ));
    assert_eq!(left.trim(), "0");

    database.sql(&format!(
        "UPDATE task_log SET events = set_byte(events, 20, get_byte(events, 20) # 4) WHERE task_id = '{}'",
        ids[0]
    ));
    let damaged = run("verify", &[]);
    assert_eq!(damaged.status.code(), Some(1));
    let findings = text(&damaged.stdout);
    assert!(
        findings.contains(&format!("task {}, event 1", ids[0])),
        "{findings}"
    );
}

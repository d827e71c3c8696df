//! A server that goes away and comes back: nobody is told what is not so, and nothing that was begun is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use a2ad::config::DatabaseUrl;
use a2ad::error::Kind;
use a2ad::execution::{ExecutionSettings, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{Sketch, key, scope};
use a2ad::repository::sea_orm::DatabaseSettings;
use a2ad::repository::{Error, TaskRepository, TaskWrite};

use super::proxy::{Break, Proxy};
use super::{open, open_with};
use crate::support::engine::{Bed, Gate, echo, eventually, gated, patiently, state, task};
use crate::support::messages::{at_once, get, send, state as state_of, task as task_of};
use crate::support::observed::Observed;
use crate::support::postgres::{Database, Postgres, database};
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

/// Settings that give up soon.
fn impatient() -> DatabaseSettings {
    DatabaseSettings {
        connect_timeout: Duration::from_millis(500),
        read_timeout: Duration::from_secs(5),
        ..DatabaseSettings::default()
    }
}

pub(super) async fn proxied(database: &Database) -> (Proxy, String) {
    let place = database.url().split(['@', '/']).nth(3).unwrap();
    let server: SocketAddr = place.parse().unwrap();
    let proxy = Proxy::start(server).await;
    let url = proxy.url(database.url());
    (proxy, url)
}

fn bed(repository: impl TaskRepository) -> Bed {
    Bed::over(Observed::new(Arc::new(repository)), ExecutionSettings::default())
}

#[tokio::test]
async fn an_answer_that_is_lost_is_an_unknown_outcome() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let repository = open(&url).await;
    let scope = scope("ada");
    for (id, how, stored) in [
        ("a", Break::Before, false),
        ("b", Break::After, true),
        ("c", Break::Late, true),
    ] {
        let mut sketch = Sketch::new(&scope, id);
        proxy.break_next(how);
        let written = repository.commit(sketch.create()).await;
        assert!(
            matches!(written, Err(Error::Unavailable(_))),
            "{how:?}: {written:?}"
        );
        if stored {
            eventually(async || repository.get(&scope, id).await.unwrap().is_some()).await;
        } else {
            assert_eq!(repository.get(&scope, id).await, Ok(None));
        }
    }
    assert_eq!(proxy.broken(), 3);
    repository.close().await;
}

/// The connection dies between the commit and its answer, again and again: every task still ends, once, and the engine
/// takes its own write for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_recognises_its_own_writes() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let bed = bed(open(&url).await);
    for round in 0..30 {
        let gate = Gate::closed();
        let agent = gated(&gate);
        let id = bed.accepted(&agent).await.id;
        bed.reaches(&id, TaskState::Working).await;
        for how in [
            &[Break::Late][..],
            &[Break::After],
            &[Break::After, Break::Late, Break::Before],
        ][round % 3]
        {
            proxy.break_next(*how);
        }
        gate.open();
        bed.reaches(&id, TaskState::Completed).await;
        proxy.mend();
        bed.quiet().await;
        let states = bed.states(&id).await;
        assert_eq!(
            states,
            [TaskState::Submitted, TaskState::Working, TaskState::Completed],
            "round {round}"
        );
    }
    assert!(proxy.broken() >= 30, "{}", proxy.broken());
    bed.repository.close().await;
}

/// An idempotency key finds the task of a send whose answer was lost.
#[tokio::test]
async fn a_key_finds_what_was_never_acknowledged() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let repository = open(&url).await;
    let scope = scope("ada");
    let send = |id: &str| TaskWrite {
        keys: vec![key("k")],
        ..Sketch::new(&scope, id).create()
    };
    proxy.break_next(Break::After);
    assert!(matches!(
        repository.commit(send("first")).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(
        repository.commit(send("second")).await,
        Err(Error::KeyTaken("first".to_owned()))
    );
    repository.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_when_the_server_is_back() {
    let server = Postgres::start();
    let database = server.database();
    let bed = bed(open_with(database.url(), &impatient()).await);
    for stop in [Postgres::stop, Postgres::crash] {
        let gate = Gate::closed();
        let (agent, quick) = (gated(&gate), echo());
        let running = bed.accepted(&agent).await.id;
        let ended = task(bed.start(&quick, "go", Wait::Settled).await);
        bed.reaches(&running, TaskState::Working).await;
        stop(&server);
        for _ in 0..3 {
            let refused = bed.start(&quick, "go", Wait::Settled).await.unwrap_err();
            assert_eq!(refused.kind, Kind::Unavailable);
            assert!(matches!(
                bed.repository.get(&bed.scope, &ended.id).await,
                Err(Error::Unavailable(_))
            ));
            assert!(matches!(bed.repository.check().await, Err(Error::Unavailable(_))));
        }
        // The agent goes on while the database is away, and its task ends when it is back.
        gate.open();
        server.resume();
        eventually(async || bed.repository.check().await.is_ok()).await;
        eventually(async || {
            let stored = bed.repository.get(&bed.scope, &running).await;
            stored
                .is_ok_and(|stored| stored.is_some_and(|stored| state(&stored.task) == TaskState::Completed))
        })
        .await;
        assert_eq!(bed.stored(&ended.id).await.task, ended);
        eventually(async || bed.start(&quick, "go", Wait::Settled).await.is_ok()).await;
        bed.quiet().await;
    }
    bed.repository.close().await;
}

/// Whoever is told that a task is stored finds it, while connections are cut all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_tasks_survive_terminated_connections() {
    let database = database();
    let bed = Arc::new(bed(open_with(database.url(), &impatient()).await));
    let done = AtomicBool::new(false);
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let cutting = async {
        let mut cuts = 0;
        while !done.load(Ordering::Acquire) {
            let url = database.url().to_owned();
            let cutter = tokio::task::spawn_blocking(move || crate::support::postgres::psql(&url, cut));
            cuts += cutter.await.unwrap().parse::<usize>().unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cuts
    };
    let sending = async {
        let (mut stored, mut refused) = (Vec::new(), 0);
        while stored.len() < 300 || refused == 0 {
            let sends = (0..20).map(|_| bed.start(&ECHO, "go", Wait::Settled));
            for answer in futures_util::future::join_all(sends).await {
                match answer {
                    Ok(answer) => stored.push(task(Ok(answer)).id),
                    Err(error) => {
                        assert_eq!(error.kind, Kind::Unavailable);
                        refused += 1;
                    }
                }
            }
        }
        done.store(true, Ordering::Release);
        stored
    };
    let (cuts, stored) = tokio::join!(cutting, sending);
    assert!(cuts > 0);
    for id in stored {
        eventually(async || bed.repository.get(&bed.scope, &id).await.is_ok()).await;
        assert_eq!(bed.state(&id).await, TaskState::Completed);
    }
    bed.repository.close().await;
}

static ECHO: std::sync::LazyLock<Arc<a2ad::agent::Agent>> = std::sync::LazyLock::new(echo);

/// A wire that takes bytes and gives none: work is given up after its limit, and its connections with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_wire_holds_nobody_up() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let settings = DatabaseSettings {
        commit_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
        ..impatient()
    };
    let repository = open_with(&url, &settings).await;
    let scope = scope("ada");
    let store = async |id: &str| repository.commit(Sketch::new(&scope, id).create()).await;
    eventually(async || store("before").await.is_ok()).await;
    proxy.freeze(true);
    for _ in 0..2 {
        let written = patiently(store("lost")).await;
        assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
        let read = patiently(repository.get(&scope, "before")).await;
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    }
    proxy.freeze(false);
    eventually(async || repository.check().await.is_ok()).await;
    eventually(async || !matches!(store("after").await, Err(Error::Unavailable(_)))).await;
    for id in ["before", "after"] {
        eventually(async || repository.get(&scope, id).await.is_ok_and(|task| task.is_some())).await;
    }
    repository.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_told_while_the_server_is_away() {
    let server = Postgres::start();
    let database = server.database();
    let url = DatabaseUrl::from(database.url());
    let world = Scenario::new()
        .set(|config| {
            config.database.url = url;
            config.database.connect_timeout_ms = 500;
        })
        .start()
        .await;
    for wire in Wire::ALL {
        let client = world.client(wire);
        let stored = task_of(client.call(send("echo", "m", "hello")).await.unwrap());
        assert_eq!(health(&world).await, 200);
        server.stop();
        for _ in 0..2 {
            let refused = client.call(send("echo", "n", "hello")).await.unwrap_err();
            assert_eq!(&*refused.reason, Kind::Unavailable.reason(), "{refused:?}");
            assert!(refused.message.contains("it is unknown whether"), "{refused:?}");
            let refused = client.call(get("echo", &stored.id)).await.unwrap_err();
            assert_eq!(&*refused.reason, Kind::Unavailable.reason(), "{refused:?}");
            assert!(
                !refused.message.contains("unknown"),
                "a read changes nothing: {refused:?}"
            );
            assert_eq!(health(&world).await, 503);
        }
        server.resume();
        eventually(async || health(&world).await == 200).await;
        let found = client.call(get("echo", &stored.id)).await.unwrap();
        assert_eq!(state_of(&found), TaskState::Completed);
        eventually(async || client.call(send("echo", "o", "hello")).await.is_ok()).await;
    }
}

/// A fault once: what stops at once waited for leases, the database and its tasks, five seconds each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_at_once_waits_for_no_database() {
    let database = database();
    let (proxy, url) = proxied(&database).await;
    let scenario = Scenario::new().set(|config| config.database.url = DatabaseUrl::from(url.as_str()));
    let mut world = scenario.start().await;
    let client = world.client(Wire::Grpc);
    task_of(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    proxy.freeze(true);
    let began = Instant::now();
    world.shutdown.abort();
    world.ended().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

async fn health(world: &World) -> u16 {
    world
        .client(Wire::HttpJson)
        .http("GET", "/healthz", "")
        .await
        .status
}

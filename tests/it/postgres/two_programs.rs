//! Two programs on one database: what the one that is killed leaves, the other one takes up.

use std::time::Duration;

use a2ad::error::Kind;
use a2ad::pb::{Task, TaskState};

use crate::binary::Server;
use crate::support::messages::{at_once, get, reply, send, state, task};
use crate::support::postgres::{Database, database};
use crate::support::wire::{TestClient, Wire};

/// Short for a test, and long for heartbeats three times as often, however busy the machine is.
const LEASE_MS: u64 = 10_000;
/// The longest that a program takes for what is due.
const PATIENCE: Duration = Duration::from_secs(90);
const TASKS: usize = 5;

fn serve(database: &Database) -> Server {
    let lease = format!("execution.lease_ms={LEASE_MS}");
    let others = [
        "execution.sweep_interval_ms=200",
        // A beat must be able to fail twice within the lease.
        "database.commit_timeout_ms=3000",
        "database.connect_timeout_ms=2000",
    ];
    let mut arguments = vec!["--database", database.url(), "--set", &lease];
    arguments.extend(others.iter().flat_map(|set| ["--set", set]));
    Server::start(&arguments)
}

/// Tasks that stay WORKING for as long as anybody works on them.
async fn hold(client: &TestClient) -> Vec<Task> {
    let mut tasks = Vec::new();
    for n in 0..TASKS {
        let request = at_once(send("bench", &format!("m{n}"), "hold:3600"));
        tasks.push(task(client.call(request).await.unwrap()));
    }
    tasks
}

async fn states(client: &TestClient, tasks: &[Task]) -> Vec<TaskState> {
    let mut states = Vec::new();
    for task in tasks {
        states.push(state(&client.call(get("bench", &task.id)).await.unwrap()));
    }
    states
}

#[tokio::test]
async fn the_other_program_takes_up_what_a_killed_one_left() {
    let database = database();
    let (living, killed) = (serve(&database), serve(&database));
    let client = TestClient::new(living.addr, Wire::Grpc);
    // The tasks that stay are older than those that go, so their leases would run out first.
    let kept = hold(&client).await;
    let left = hold(&TestClient::new(killed.addr, Wire::Grpc)).await;
    // Both hold theirs: a message through the other one is refused for now, and takes nothing from anybody.
    let early = client
        .call(reply("bench", &left[0], "r", "more"))
        .await
        .unwrap_err();
    let early = early.is(Kind::Unavailable);
    assert!(
        early.retry && early.message.contains("another process"),
        "{early:?}"
    );
    killed.kill();
    let taken_up = async {
        while states(&client, &left).await != [TaskState::Failed; TASKS] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_up)
        .await
        .expect("what was left is taken up");
    for task in &left {
        let failed = client.call(get("bench", &task.id)).await.unwrap();
        let words = format!("{:?}", failed.status.and_then(|status| status.message));
        assert!(words.contains("the server stopped"), "{words}");
    }
    // Heartbeats have kept the others all the while, and nobody else has written them.
    assert_eq!(states(&client, &kept).await, [TaskState::Working; TASKS]);
    let epochs =
        "SELECT string_agg(DISTINCT state || ':' || epoch, ' ' ORDER BY state || ':' || epoch) FROM task";
    let (working, failed) = (TaskState::Working as i32, TaskState::Failed as i32);
    assert_eq!(database.sql(epochs), format!("{working}:1 {failed}:2"));
}

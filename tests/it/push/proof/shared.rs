//! Two processes on one PostgreSQL: nobody delivers what another one delivers, and what a dead one left is taken up.

use std::time::Duration;

use super::kills::doomed_life;
use super::{Look, all_attempts, all_streams, at_rest, judge, order};
use crate::audit::program::migrate;
use crate::binary::Server;
use crate::support::postgres::database;
use crate::support::random::Random;
use crate::support::webhook::{Answer, Webhook};
use crate::support::wire::{TestClient, Wire};

const KILLS: usize = 5;
const TASKS: usize = 60;

/// Claims that run out while the test runs, and leases too.
const SETTINGS: [&str; 8] = [
    "push.request_timeout_ms=1000",
    "push.claim_ms=3000",
    "push.poll_ms=50",
    "execution.lease_ms=3000",
    "execution.sweep_interval_ms=100",
    "database.commit_timeout_ms=900",
    "database.connect_timeout_ms=1000",
    "push.deliveries_per_claim_max=3",
];

fn slow(number: usize) -> Answer {
    Answer::After(Duration::from_millis(number as u64 % 7))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_deliver_once_and_after_a_kill_at_least_once() {
    let database = database();
    migrate(database.url());
    let mut arguments = vec!["--database", database.url(), "--allow-loopback-webhooks"];
    arguments.extend(SETTINGS.iter().flat_map(|setting| ["--set", setting]));
    let look = Look::at(database.url()).await;
    let receiver = Webhook::new(|number, _| slow(number)).await;
    let living = Server::start(&arguments);

    let other = Server::start(&arguments);
    let clients = [&living, &other].map(|server| TestClient::new(server.addr, Wire::Grpc));
    for n in 0..TASKS {
        let call = order("ticks:10:3000:0:16", "c", &receiver);
        clients[n % 2].call(call).await.unwrap();
    }
    at_rest(&look).await;
    let (logs, wanted) = (look.logs().await, all_streams(&look).await);
    let verdict = judge("two processes", &logs, &wanted, &all_attempts([&receiver]));
    assert_eq!(verdict.repeated, 0, "nobody died, and nothing came twice");
    assert!(verdict.deliveries >= TASKS * 13);
    other.terminate();
    assert!(other.ended().success());

    let mut random = Random::from_environment();
    for _ in 0..KILLS {
        doomed_life(&arguments, 1 + random.below(20), &receiver).await;
    }
    at_rest(&look).await;
    let (logs, wanted) = (look.logs().await, all_streams(&look).await);
    let verdict = judge(
        "two processes and kills",
        &logs,
        &wanted,
        &all_attempts([&receiver]),
    );
    assert!(verdict.repeated_after_taken >= KILLS, "{verdict:?}");
}

//! A receiver that is away for an hour, by the clock of back-off: every time of `[push]` is a thousandth of what it is by
//! default, and so is the hour.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use a2ad::config::Config;

use super::super::{WIRE, begin, hook, on_a_file, quick};
use super::{Look, all_attempts, all_streams, at_rest, judge};
use crate::support::messages::{get, send, state, task};
use crate::support::webhook::{Answer, Webhook};
use crate::support::wire::TestClient;

const HOUR: Duration = Duration::from_millis(3_600);
const TASKS: usize = 12;
const STEPS: usize = 20;
/// All that a task says: that it exists, that it works, its artifacts and its end.
const EVENTS: usize = STEPS + 3;

/// The defaults in milliseconds where those are in seconds.
fn a_thousandth(config: &mut Config) {
    let push = &mut config.push;
    (push.backoff_min_ms, push.backoff_max_ms) = (1, 3_600);
    (push.breaker_failures, push.breaker_pause_ms) = (8, 30);
    push.retry_span_s = 86;
}

/// An address of this machine that no other test uses: it belongs to this process, and nobody listens there yet.
fn address_of_ours() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 77, high, low.max(1)], 28_080))
}

/// What others notice: messages are answered, and their webhooks get every event.
async fn others_go_on(client: &TestClient, other: &Webhook) -> usize {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < HOUR {
        let text = format!("m{calls}");
        let done = task(client.call(send("echo", &text, "hello")).await.unwrap());
        let found = client.call(get("echo", &done.id)).await.unwrap();
        assert_eq!(state(&found), a2ad::pb::TaskState::Completed);
        calls += 2;
    }
    // All of it came while the first receiver was away.
    other.wait(TASKS * EVENTS).await;
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_away_for_an_hour_gets_everything_and_nobody_else_notices() {
    let world = on_a_file().set(quick).set(a_thousandth).start().await;
    let client = world.client(WIRE);
    let (address, other) = (address_of_ours(), Webhook::good().await);
    for _ in 0..TASKS {
        let command = format!("steps {STEPS}");
        for config in [
            hook("", "away", format!("http://{address}/away")),
            hook("", "there", other.url("/there")),
        ] {
            client.call(begin(&command, config)).await.unwrap();
        }
    }
    world.puppet.allow(2 * TASKS * (STEPS + 1));
    let calls = others_go_on(&client, &other).await;
    let back = Webhook::at(address, |_, _| Answer::Status(200)).await;
    let look = Look::at(&format!("sqlite://{}", world.database().display())).await;
    at_rest(&look).await;
    let (logs, wanted) = (look.logs().await, all_streams(&look).await);
    let attempts = all_attempts([&back, &other]);
    let verdict = judge("away for an hour", &logs, &wanted, &attempts);
    assert_eq!(verdict.repeated, 0, "nobody took anything twice");
    assert_eq!(back.received().len(), TASKS * EVENTS);
    println!("{calls} calls meanwhile, all answered");
}

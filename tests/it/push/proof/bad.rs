//! Receivers of all kinds of badness.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::time::Duration;

use a2ad::pb::{Task, TaskState};

use super::super::{AGENT, WIRE, begin, hook, on_a_file};
use super::check::Wanted;
use super::{Look, all_attempts, at_rest, judge};
use crate::support::engine::eventually;
use crate::support::messages::{get, state, task};
use crate::support::webhook::{Answer, Webhook};
use crate::support::wire::TestClient;

/// Tasks with two configurations each: the first gets all events, the second those from the third on.
const TASKS: usize = 112;
const EVENTS: usize = 10;
const SECOND_FROM: usize = 3;

/// How long the server waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(250);

/// Deliveries of a hundred that are answered badly at first.
const BAD_PERCENT: u64 = 30;

/// How each receiver is bad when it is.
fn badness() -> [Answer; 8] {
    [
        Answer::Status(500),
        Answer::With(503, "Retry-After: 1".to_owned()),
        Answer::Status(404),
        Answer::With(307, "Location: http://127.0.0.1:9/".to_owned()),
        Answer::Never,
        Answer::HalfClosed,
        Answer::Garbage,
        Answer::After(TIMEOUT * 2),
    ]
}

fn number(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Answers 30 of 100 deliveries badly once or twice, and the others within a few milliseconds.
async fn receiver(bad: Answer) -> Webhook {
    let attempts = Mutex::new(HashMap::<String, u64>::new());
    Webhook::new(move |_, received| {
        let number = number(received.id());
        let mut attempts = attempts.lock().unwrap();
        let before = attempts.entry(received.id().to_owned()).or_default();
        *before += 1;
        if number % 100 < BAD_PERCENT && *before <= 1 + number / 100 % 2 {
            return bad.clone();
        }
        Answer::After(Duration::from_millis(number / 1_000 % 5))
    })
    .await
}

/// Begins a task that works with one configuration, and gives it another.
async fn begin_one(client: &TestClient, first: &Webhook, second: &Webhook) -> Task {
    let steps = format!("steps {}", EVENTS - 3);
    let config = hook("", "first", first.url("/first"));
    let begun = task(client.call(begin(&steps, config)).await.unwrap());
    let is_working = async || {
        let found = client.call(get(AGENT, &begun.id)).await.unwrap();
        state(&found) == TaskState::Working
    };
    eventually(is_working).await;
    let config = hook(&begun.id, "second", second.url("/second"));
    client.call(config).await.unwrap();
    begun
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_receivers_get_everything_in_order_under_one_id() {
    let world = on_a_file()
        .set(|config| {
            config.push.request_timeout_ms = u64::try_from(TIMEOUT.as_millis()).unwrap();
            // Hosts are left alone too.
            (config.push.breaker_failures, config.push.breaker_pause_ms) = (3, 20);
        })
        .start()
        .await;
    let client = world.client(WIRE);
    let mut receivers = Vec::new();
    for bad in badness() {
        receivers.push(receiver(bad).await);
    }
    let mut wanted = Wanted::new();
    for n in 0..TASKS {
        let (first, second) = (&receivers[n % 8], &receivers[(n + n / 8 + 1) % 8]);
        let begun = begin_one(&client, first, second).await;
        wanted.insert((begun.id.clone(), "first".to_owned()), 1);
        wanted.insert((begun.id, "second".to_owned()), SECOND_FROM);
    }
    world.puppet.allow(TASKS * (EVENTS - 2));
    let look = Look::at(&format!("sqlite://{}", world.database().display())).await;
    at_rest(&look).await;
    let (logs, attempts) = (look.logs().await, all_attempts(&receivers));
    assert!(logs.values().all(|log| log.len() == EVENTS));
    let verdict = judge("bad receivers", &logs, &wanted, &attempts);
    assert!(verdict.deliveries >= 2_000);
    let mut bad: Vec<&str> = attempts
        .iter()
        .filter(|attempt| !attempt.is_taken)
        .map(|attempt| &*attempt.id)
        .collect();
    bad.sort_unstable();
    bad.dedup();
    println!(
        "{} of {} deliveries failed at first",
        bad.len(),
        verdict.deliveries
    );
    let least = verdict.deliveries * 25 / 100;
    assert!(bad.len() >= least, "{} were bad, of at least {least}", bad.len());
}

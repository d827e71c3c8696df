//! The promise as a whole: whatever receivers and servers go through, every event arrives, in order, under one id.
//!
//! Receivers stand in the test's process, outside of the server, and write down each request when it comes and what was
//! answered before it is sent. Afterwards `check` compares what they have with the log, which is read from the database
//! beside the server's code; `controls` shows that it notices what it is there for.

mod absent;
mod bad;
mod check;
mod controls;
mod kills;
mod log;
mod shared;

use std::time::Duration;

use a2ad::pb::SendMessageRequest;

use self::check::{Attempt, Logs, Verdict, Wanted, attempts, check};
use self::log::{Look, Rest};
use super::hook;
use crate::support::messages::{at_once, configured, send};
use crate::support::webhook::Webhook;

/// Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until every task has ended and every delivery is over.
async fn at_rest(look: &Look) {
    let watch = async {
        while look.rest().await != Rest::NONE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, watch).await.is_err() {
        panic!("left behind: {:?}", look.rest().await);
    }
}

/// All requests of several receivers.
fn all_attempts<'a>(receivers: impl IntoIterator<Item = &'a Webhook>) -> Vec<Attempt> {
    let each = receivers
        .into_iter()
        .map(|receiver| attempts(&receiver.received()));
    each.flatten().collect()
}

/// Every configuration there is, each from the first event on.
async fn all_streams(look: &Look) -> Wanted {
    let streams = look.streams().await;
    streams.into_iter().map(|stream| (stream, 1)).collect()
}

/// A send of an order to the agent `bench` with a webhook, answered at once.
fn order(text: &str, config: &str, receiver: &Webhook) -> SendMessageRequest {
    let hook = a2ad::pb::TaskPushNotificationConfig {
        tenant: String::new(),
        ..hook("", config, receiver.url(&format!("/{config}")))
    };
    at_once(configured(send("bench", "m", text), |configuration| {
        configuration.task_push_notification_config = Some(hook);
    }))
}

/// Says what was shown, and fails if a rule was broken.
fn judge(what: &str, logs: &Logs, wanted: &Wanted, attempts: &[Attempt]) -> Verdict {
    let verdict = check(logs, wanted, attempts);
    verdict.is_good();
    println!(
        "{what}: {} deliveries to {} configurations, 0 lost, 0 out of order; {} came again, {} of them after they had \
         been taken, each under its id",
        verdict.deliveries,
        wanted.len(),
        verdict.repeated,
        verdict.repeated_after_taken,
    );
    verdict
}

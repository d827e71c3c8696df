//! Deliveries as lines for people.

use a2ad::pb::Timestamp;
use a2ad::pb::admin::{Delivery, DeliveryState};

use crate::cli::db::date;

/// A delivery in one line.
pub fn line(delivery: &Delivery) -> String {
    let when = match (&delivery.dead_time, &delivery.due_time) {
        (Some(at), _) => format!("dead {}", time(at)),
        (None, Some(at)) => format!("waiting, due {}", time(at)),
        (None, None) => "waiting".to_owned(),
    };
    let mut line = format!(
        "{}  {when}  {} of {}  to {}  {} failed attempts",
        delivery.name,
        delivery.agent,
        delivery.owner,
        host(delivery),
        delivery.attempts
    );
    if let Some(failure) = failure(delivery) {
        line.push_str(&format!(", the last: {failure}"));
    }
    line
}

/// All about a delivery.
pub fn page(delivery: &Delivery) -> String {
    let state = match delivery.state() {
        DeliveryState::Dead => "dead",
        DeliveryState::Waiting | DeliveryState::Unspecified => "waiting",
    };
    let event = match (&*delivery.event, &*delivery.task_state) {
        ("", _) => "can't be read".to_owned(),
        (event, "") => event.to_owned(),
        (event, state) => format!("{event} {}", state.trim_start_matches("TASK_STATE_")),
    };
    let rows = [
        ("delivery", Some(delivery.name.clone())),
        ("state", Some(state.to_owned())),
        ("agent", Some(delivery.agent.clone())),
        ("owner", Some(delivery.owner.clone())),
        ("host", Some(host(delivery).to_owned())),
        ("event", Some(event)),
        ("since", delivery.since_time.as_ref().map(time)),
        ("attempts", Some(format!("{} failed", delivery.attempts))),
        ("last failure", failure(delivery)),
        ("due", delivery.due_time.as_ref().map(time)),
        ("dead", delivery.dead_time.as_ref().map(time)),
    ];
    let lines = rows
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name:<14}{value}")));
    lines.collect::<Vec<_>>().join("\n")
}

fn host(delivery: &Delivery) -> &str {
    if delivery.host.is_empty() {
        "a host that is not known"
    } else {
        &delivery.host
    }
}

/// Why the last attempt failed, if one has.
fn failure(delivery: &Delivery) -> Option<String> {
    let cause = delivery.last_cause.as_str();
    match (delivery.last_status, cause) {
        (None, "") => None,
        (None, cause) => Some(cause.to_owned()),
        (Some(status), "") => Some(format!("status {status}")),
        (Some(status), cause) => Some(format!("status {status}: {cause}")),
    }
}

fn time(at: &Timestamp) -> String {
    date(at.seconds.saturating_mul(1_000))
}

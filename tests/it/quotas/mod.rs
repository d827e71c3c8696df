//! Quotas over real sockets, on every binding: what is refused, with which words, and who is not disturbed by it.

mod bytes;
mod fairness;
mod numbers;
mod open_tasks;
mod rates;

use a2ad::config::Quota;

use crate::support::wire::WireError;
use crate::support::world::Scenario;

/// A quota of requests that does not come back while a test runs.
pub fn requests(burst: u64) -> Quota {
    Quota {
        requests_per_minute: Some(1),
        requests_burst: Some(burst),
        ..Quota::default()
    }
}

pub fn each_principal(quota: Quota) -> Scenario {
    Scenario::new().set(|config| config.quotas.principal = quota)
}

/// Checks which quota an error names.
#[track_caller]
pub fn names(error: &WireError, quota: &str, limit: &str, subject: &str) {
    let said = ["quota", "limit", "subject"].map(|key| error.metadata.get(key).map(String::as_str));
    assert_eq!(said, [Some(quota), Some(limit), Some(subject)], "{error:?}");
    assert!(error.message.contains(quota), "{error:?}");
}

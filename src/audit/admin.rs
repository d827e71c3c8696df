//! The records of an operator's commands, which run in processes of their own: a short chain for each.

use std::borrow::Cow;

use super::chain::{Before, Chain};
use super::record::{Kind, Outcome, Record, text};
use super::store::Store;
use super::verify::head_of;
use crate::clock::Clock;

/// Writes a record of what the user of this process did, for example `db prune`. `is_done` says whether it went well.
///
/// # Errors
/// When the database does not take it.
pub async fn record_admin(
    store: &dyn Store,
    clock: &Clock,
    command: &str,
    is_done: bool,
) -> Result<(), String> {
    let before = Before {
        database: store.newest().await?.and_then(|row| head_of(&row.text)),
        ..Before::default()
    };
    let (mut chain, genesis) = Chain::begin(clock, before);
    let (user, outcome) = (user(), if is_done { Outcome::Ok.as_str() } else { "FAILED" });
    let record = Record {
        principal: text(&user),
        method: Some(Cow::Borrowed(command)),
        ..Record::about(Kind::Admin, outcome)
    };
    let record = chain.add(clock.now_ms(), record);
    let ended = Record::about(Kind::Chain, Outcome::Ended.as_str());
    let ended = chain.add(clock.now_ms(), ended);
    store.append(&[genesis, record, ended]).await
}

/// `os:` and the name of the user, or its number.
fn user() -> String {
    let name = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| !name.is_empty()).or_else(|| {
        use std::os::unix::fs::MetadataExt as _;
        let own = std::fs::metadata("/proc/self").ok()?;
        Some(own.uid().to_string())
    });
    format!("os:{}", name.as_deref().unwrap_or("unknown"))
}

//! The records of an operator's commands, which run in processes of their own: a short chain for each.

use std::borrow::Cow;

use super::chain::{Before, Chain};
use super::record::{Kind, Outcome, Record, text};
use super::store::Store;
use super::verify::head_of;
use crate::clock::Clock;

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is about to be done.
    Begins,
    /// It was done.
    Done,
    /// It was not done, or not all of it.
    Failed,
}

impl Step {
    /// The end of a command that went well, or did not.
    pub fn ends(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Failed }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Begins => Outcome::Intended,
            Self::Done => Outcome::Ok,
            Self::Failed => Outcome::Failed,
        }
    }
}

/// Writes a record of what the user of this process does, for example `db prune`.
///
/// # Errors
/// When the database does not take it.
pub async fn record_admin(store: &dyn Store, clock: &Clock, command: &str, step: Step) -> Result<(), String> {
    let before = Before {
        database: store.newest().await?.and_then(|row| head_of(&row.text)),
        ..Before::default()
    };
    let (mut chain, genesis) = Chain::begin(clock, before);
    let (user, claims) = (user(), std::env::var("USER").unwrap_or_default());
    let record = Record {
        principal: text(&user),
        claims: text(&claims),
        method: Some(Cow::Borrowed(command)),
        ..Record::about(Kind::Admin, step.outcome().as_str())
    };
    let record = chain.add(clock.now_ms(), record);
    let ended = Record::about(Kind::Chain, Outcome::Ended.as_str());
    let ended = chain.add(clock.now_ms(), ended);
    store.append(&[genesis, record, ended]).await
}

/// `os:` and the number of the user that the process is of. Its name is whatever the environment says.
fn user() -> String {
    format!("os:{}", rustix::process::getuid().as_raw())
}

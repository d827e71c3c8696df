//! The records of operators: of their commands, which run in processes of their own, a short chain for each; and of their
//! calls.

use std::sync::Arc;

use super::chain::{Before, Chain};
use super::handle::{Audit, CallRecord};
use super::record::{Kind, Outcome};
use super::store::Store;
use super::verify::head_of;
use crate::access::AdminMethod;
use crate::clock::Clock;
use crate::context::CallContext;
use crate::error::Error;

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
    let mut chain = Chain::begin(clock, &before);
    let (user, claims) = (user(), std::env::var("USER").unwrap_or_default());
    chain.add(clock.now_ms(), Kind::Admin, |line| {
        line.text("principal", &user);
        line.text("claims", &claims);
        line.text("method", command);
        line.text("outcome", step.outcome().as_str());
    });
    chain.note(clock.now_ms(), Outcome::Ended, |_| {});
    let rows: Vec<_> = chain.close().into_iter().collect();
    store.append(&rows).await
}

impl Audit {
    /// Opens the record of an operator's call; `agent` and `task_id` as far as it names them, `filter` whatever it is for.
    ///
    /// # Errors
    /// As for [`Audit::call`].
    pub fn administration(
        &self,
        call: &CallContext,
        method: AdminMethod,
        (agent, task_id): (&str, &str),
        filter: &str,
    ) -> Result<CallRecord, Error> {
        let method = Some(method.as_str());
        let mut record = self.open(call, Kind::Admin, method, || Arc::from(agent), (task_id, ""))?;
        record.is_for(filter);
        Ok(record)
    }
}

/// `os:` and the number of the user that the process is of. Its name is whatever the environment says.
fn user() -> String {
    format!("os:{}", rustix::process::getuid().as_raw())
}

//! Audit records: who did what, from where, by which credential, and how it ended, in chains that show tampering.
//!
//! [`Audit`] is the handle that every room above has: the service opens one record for each call, authentication tells of
//! what it turned away, the server of certificates that don't hold, the engine of each change of a task's state, retention
//! of what it removed. One background task puts the records into a chain and brings them to a file or standard output as
//! JSON lines, and to the database. This room must not know SQL ([`Store`] is a port of it) or who a caller is (it copies
//! what `access` says).
//!
//! **What costs.** A call is answered in tens of microseconds, so a record may take one or two. Records gather for some
//! milliseconds and are written as a batch: numbered lines, of which the first holds the hash of the batch before and the
//! last that of the batch; one write to the file, one row of the database. Changes that a call made come into its record
//! if they are in the same batch. Entries in the queue are handles, and lines are written from them field by field.
//!
//! **What is in a record** is a name or an id, never the contents of a call: there is no field that could hold a secret.
//!
//! **What a crash loses.** Records are written behind the answer, in order. At an end by signal everything is flushed. When
//! the process is killed, the file lacks what came in the last few milliseconds, and the database what came in the last
//! `audit.sync_interval_ms`; when the machine loses power the file lacks as much as the database. Changes of tasks are in
//! their logs anyway, which are committed before anything is answered.
//!
//! **What a chain proves.** A record that was changed, left out, moved or added in the middle shows. Whoever may rewrite
//! everything can write a chain of his own, or cut the end off: keep the newest hash elsewhere (`a2ad audit verify`
//! prints it) and give it back with `--head`.

mod admin;
mod chain;
mod entry;
mod error;
mod fields;
mod file;
mod gathered;
mod handle;
mod line;
mod lines;
mod links;
mod places;
mod read;
mod record;
mod retention;
mod shares;
mod store;
mod stream;
mod verify;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use admin::{Step, record_admin};
pub use entry::{Author, BadCertificate, Stranger};
pub use error::OpenError;
pub use handle::{Audit, CallRecord};
pub use places::Place;
pub use read::{Lines, last_lines};
pub use record::{Change, Head, Kind, Outcome, Pruned, Record, Removed};
pub use retention::RetentionRecord;
pub use store::{Row, Store};
pub use stream::StreamRecord;
pub use verify::{Finding, Medium, Verified, Verifier};

pub(crate) use entry::{StateChange, TaskChanges};

/// Where records go, and how many of them may be on their way.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Where the lines go, if anywhere.
    pub output: Option<Output>,
    /// Whether calls are refused that can't be recorded; otherwise they go on, and are counted.
    pub is_required: bool,
    /// Records that may wait to be written; those of failed authentications take half of it at most.
    pub queue_max: usize,
    /// Records of one caller's calls that may be under way or wait to be written; beyond them that caller is refused, or
    /// its records are left out where they are not required.
    pub queue_per_caller_max: usize,
    /// Credentials that were turned away, in calls and in handshakes, and have a record of their own, in one second; more
    /// are only counted.
    pub strangers_per_s_max: u32,
    /// Records that are written together at most.
    pub batch_max: usize,
    /// How often the file is synced and the database gets what there is.
    pub sync_interval: Duration,
    /// How long the database keeps records; `None` for ever.
    pub retention: Option<Duration>,
}

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// The end of this file.
    File(PathBuf),
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            output: None,
            is_required: true,
            queue_max: 65_536,
            queue_per_caller_max: 16_384,
            strangers_per_s_max: 100,
            batch_max: 512,
            sync_interval: Duration::from_millis(200),
            retention: None,
        }
    }
}

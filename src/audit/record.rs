//! A record as it is read: one line of JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// RFC 3339 with all of its milliseconds, so that texts sort like times.
const AT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The chain itself: its beginning, its end, and what is missing from it.
    Chain,
    /// A call: the decision, and its outcome.
    Call,
    /// A credential that was turned away, in a call or in a TLS handshake.
    Authentication,
    /// A connection that was cut because the certificate of its caller no longer holds.
    Connection,
    /// A stream that was ended for its reader: the credential or the bytes that it may use were at an end.
    Stream,
    /// The card of an agent that not everybody knows: given out, or refused.
    Card,
    /// A change of a task's state.
    State,
    /// A pass of retention over the tasks, which removed something or did not come to its end.
    Retention,
    /// What an operator does, by a command or a call.
    Admin,
    /// A push configuration that its receiver has ended.
    Push,
}

impl Kind {
    /// The word in the record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Call => "call",
            Self::Authentication => "authentication",
            Self::Connection => "connection",
            Self::Stream => "stream",
            Self::Card => "card",
            Self::State => "state",
            Self::Retention => "retention",
            Self::Admin => "admin",
            Self::Push => "push",
        }
    }
}

/// The outcomes that are not the reason of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// The caller went away before its answer, or the process ended; it may have been done.
    Abandoned,
    /// The database gave no answer; it may have been done.
    Unknown,
    /// It is about to be done; how it ended is in a later record.
    Intended,
    /// It was not done.
    Failed,
    /// The chain begins.
    Begun,
    /// The chain goes on in a new file.
    Continued,
    /// Records are missing from here, by intention: see `dropped` and `suppressed`.
    Lost,
    /// Old records of the database were removed: see `pruned`.
    Pruned,
    /// The chain ends with its process.
    Ended,
}

impl Outcome {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Abandoned => "ABANDONED",
            Self::Unknown => "UNKNOWN",
            Self::Intended => "INTENDED",
            Self::Failed => "FAILED",
            Self::Begun => "BEGUN",
            Self::Continued => "CONTINUED",
            Self::Lost => "LOST",
            Self::Pruned => "PRUNED",
            Self::Ended => "ENDED",
        }
    }
}

/// The last record of a batch in a chain: which one it is, and the hash of the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// The record's number in it.
    pub seq: u64,
    /// Its time.
    pub at: String,
    /// The hash, 64 hex digits.
    pub hash: String,
}

/// What retention has removed from the database when this record was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruned {
    /// Everything before this time is gone, or about to go.
    pub before: String,
    /// The last removed record of each chain that goes on behind that time.
    pub chains: Vec<Head>,
}

/// What one pass of retention has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// Tasks that are gone, with everything that belonged to them.
    pub tasks: u64,
    /// Events that are gone, those of the tasks among them.
    pub events: u64,
    /// Dead letters of push notifications that are gone, without those of the tasks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dead_letters: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A change of a task's state in the record of the call that it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change<'a> {
    /// The state after.
    pub to: Cow<'a, str>,
    /// The state before; a task that is made has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cow<'a, str>>,
    /// The number of the event in the task's log.
    pub generation: u64,
    /// Who made it, unless it was the caller: `agent:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Cow<'a, str>>,
    /// When it was, unless it was in the millisecond in which the call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Cow<'a, str>>,
}

/// One record. Fields that say nothing are left out; every text has at most 2,048 characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    /// The chain: one for each start of a process (a UUID of version 7).
    pub chain: Cow<'a, str>,
    /// The number in the chain, dense from 1.
    pub seq: u64,
    /// When it was, in UTC; it never goes back within a chain.
    pub at: Cow<'a, str>,
    /// What the record is about.
    pub kind: Kind,
    /// Who did it: a caller, `agent:NAME`, `runtime`, or `os:` and the number of the operating system's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Cow<'a, str>>,
    /// Who somebody says to be without proof: the name in a certificate that was refused, or `$USER` of an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Cow<'a, str>>,
    /// Whose tasks were concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Cow<'a, str>>,
    /// The organisation of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Cow<'a, str>>,
    /// The kind of credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Cow<'a, str>>,
    /// Which credential it was: what is needed to revoke it, and nothing to use it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Cow<'a, str>>,
    /// Where the connection came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Cow<'a, str>>,
    /// The binding, as cards name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Cow<'a, str>>,
    /// The operation, or the operator's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// What an operator's call was to be for: all deliveries, those that a filter fits, or one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Cow<'a, str>>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Cow<'a, str>>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Cow<'a, str>>,
    /// Its context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<Cow<'a, str>>,
    /// The push configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_id: Option<Cow<'a, str>>,
    /// The state before; a task that is made has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cow<'a, str>>,
    /// The state after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Cow<'a, str>>,
    /// The number of the event in the task's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The changes of the task's state that were made for this call and are written together with its record; those that
    /// were written earlier or later have records of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change<'a>>,
    /// `ok`, the reason of the error, or what [`Outcome`] says.
    pub outcome: Cow<'a, str>,
    /// The id under which the request was logged and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The W3C trace that the caller was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'a, str>>,
    /// Records that there was no room for: of ended streams and connections, and with `audit.required` off of calls and
    /// state changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// Failed authentications that there was no room for, in calls and handshakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u64>,
    /// The version of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Cow<'a, str>>,
    /// The last record in the file when the chain began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_head: Option<Head>,
    /// The last record in the database when the chain began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_head: Option<Head>,
    /// Bytes of a torn last line that were taken out of the file when the chain began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn_bytes: Option<u64>,
    /// What retention has removed from the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
    /// What retention has removed from the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// The hash of the batch before, in the first record of each batch; the first batch has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Cow<'a, str>>,
    /// SHA-256 of the lines of the batch without this field, 64 hex digits, in the last record of each batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Cow<'a, str>>,
}

impl Record<'_> {
    /// The place of the record, if it ends a batch.
    pub fn head(&self) -> Option<Head> {
        Some(Head {
            chain: self.chain.to_string(),
            seq: self.seq,
            at: self.at.to_string(),
            hash: self.hash.as_deref()?.to_owned(),
        })
    }

    /// True for the first record of a chain.
    pub fn begins(&self) -> bool {
        self.kind == Kind::Chain && self.outcome == Outcome::Begun.as_str()
    }
}

/// A time in milliseconds since 1970 as records have it.
pub(super) fn at(ms: i64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| time.format(AT).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_all_their_milliseconds() {
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(1_795_298_400_120), "2026-11-21T22:00:00.120Z");
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in [
            Kind::Chain,
            Kind::Call,
            Kind::Authentication,
            Kind::Connection,
            Kind::Stream,
            Kind::Card,
            Kind::State,
            Kind::Retention,
            Kind::Admin,
            Kind::Push,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}

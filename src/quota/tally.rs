//! What one subject has used.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Quota;
use super::bucket::Bucket;
use crate::error::{Error, Kind};

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The caller's own.
    Principal,
    /// That of an agent, for all its callers together.
    Agent,
    /// That of the caller's organisation, for all its members together.
    Organisation,
}

impl Subject {
    /// The word for it, as errors have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Agent => "agent",
            Self::Organisation => "organisation",
        }
    }
}

/// Who has it, in the words of an error. It names nobody: a quota that others have used up does not say who they are.
impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Principal => "of this caller",
            Self::Agent => "of this agent, for all its callers together",
            Self::Organisation => "of the caller's organisation",
        })
    }
}

/// What is counted while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Streams that are open.
    Streams,
    /// Executions that run or wait in line.
    Executions,
    /// Tasks on their way into the database.
    Openings,
}

/// The use of one subject.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) subject: Subject,
    pub(super) quota: Quota,
    pub(super) requests: Option<Bucket>,
    pub(super) bytes: Option<Bucket>,
    began: Instant,
    counts: [AtomicUsize; 3],
}

impl Tally {
    pub(super) fn new(subject: Subject, quota: Quota, began: Instant) -> Arc<Self> {
        Arc::new(Self {
            subject,
            quota,
            requests: Bucket::new(quota.requests),
            bytes: Bucket::new(quota.bytes),
            began,
            counts: Default::default(),
        })
    }

    /// Nanoseconds on the clock of all buckets.
    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts one more; how many there were before.
    pub(super) fn enter(&self, counted: Counted) -> usize {
        self.counts[counted as usize].fetch_add(1, Ordering::AcqRel)
    }

    pub(super) fn leave(&self, counted: Counted) {
        self.counts[counted as usize].fetch_sub(1, Ordering::AcqRel);
    }

    /// True if it says no more than a new one would.
    pub(super) fn is_idle(&self) -> bool {
        let is_full = |bucket: &Option<Bucket>| {
            let Some(bucket) = bucket else { return true };
            bucket.is_full(self.now_ns())
        };
        self.counts.iter().all(|count| count.load(Ordering::Acquire) == 0)
            && is_full(&self.requests)
            && is_full(&self.bytes)
    }
}

/// The answer of a quota that is used up: `limit` of `what`, in words.
pub(super) fn refusal(
    subject: Subject,
    quota: &'static str,
    limit: u64,
    what: &str,
    retry_after: Duration,
) -> Error {
    let message = format!(
        "the quota {subject} is used up: {limit} {what} ({quota}); try again in {}",
        Waiting(retry_after)
    );
    Error {
        retry_after: Some(retry_after),
        ..Error::new(Kind::ResourceExhausted, message)
    }
    .with("quota", quota)
    .with("limit", limit.to_string())
    .with("subject", subject.as_str())
}

/// A time to wait, as people read it.
struct Waiting(Duration);

impl fmt::Display for Waiting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        if millis < 1_000 {
            write!(out, "{millis} ms")
        } else {
            write!(out, "{} s", millis.div_ceil(1_000))
        }
    }
}

/// Something that counts as long as this exists.
#[derive(Debug, Default)]
pub struct Permit {
    held: Vec<Arc<Tally>>,
    counted: Option<Counted>,
}

impl Permit {
    pub(super) fn of(counted: Counted) -> Self {
        Self {
            held: Vec::new(),
            counted: Some(counted),
        }
    }

    /// Counts one more with a subject; how many there were before.
    pub(super) fn enter(&mut self, tally: &Arc<Tally>) -> usize {
        let Some(counted) = self.counted else { return 0 };
        self.held.push(tally.clone());
        tally.enter(counted)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(counted) = self.counted {
            for tally in &self.held {
                tally.leave(counted);
            }
        }
    }
}

//! `[audit]`: where records of what was done are kept.

use std::path::Path;

use super::error::Problem;
use super::schema::section;

/// Ten years in seconds: longer is for ever.
const LONG_S: u64 = 10 * 366 * 24 * 60 * 60;

/// A year in seconds: what happened can be looked up when the accounts are looked at.
const YEAR_S: u64 = 366 * 24 * 60 * 60;

section! {
    /// Where records of calls, credentials and changes of tasks are kept. There are some only where callers are
    /// authenticated: with client certificates, tokens or keys.
    pub struct Audit {
        /// File to which records are appended as JSON lines, or "stdout"; absent: none. A file that was renamed is
        /// followed by a new one. Each process needs a file of its own.
        file: Option<String> = None;
        /// Keeps records in the database too. One in memory keeps none.
        database: bool = true;
        /// Refuses calls with UNAVAILABLE that can't be recorded, because the file or the database is away or queue_max
        /// is reached. Off, they go on, and a later record says how many are missing.
        required: bool = true;
        /// Records that may wait to be written. A call takes its place when it begins, so this has to be more than
        /// server.in_flight_max; failed authentications take half of it at most.
        queue_max: usize = 65_536, 16..=10_000_000;
        /// Records of one caller's calls that may wait to be written, those of its calls that are under way among them;
        /// absent: a quarter of queue_max. Beyond it that caller is refused with RESOURCE_EXHAUSTED; where records are not
        /// required, they are left out. Changes of tasks are not counted here: a call that was let in may go on.
        queue_per_caller_max: Option<usize> = None, 1..=10_000_000;
        /// Credentials that were turned away, in calls and in TLS handshakes, and have a record of their own, in one
        /// second; more are counted in the next one.
        strangers_per_s_max: u32 = 100, 1..=100_000;
        /// Records that are written together at most.
        batch_max: usize = 512, 1..=10_000;
        /// Milliseconds between two syncs of the file, and two transactions of the database: what a power cut can take.
        sync_interval_ms: u64 = 200, 0..=60_000;
        /// Seconds for which the database keeps records; 0: for ever. Files are yours to rotate.
        retention_s: u64 = YEAR_S, 0..=LONG_S;
    }
}

impl Audit {
    /// Records of one caller that may wait.
    pub fn each_caller_max(&self) -> usize {
        let quarter = self.queue_max / 4;
        self.queue_per_caller_max.unwrap_or(quarter.max(1))
    }

    /// What can't work.
    pub(super) fn problems(&self, in_flight_max: usize) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(file) = &self.file
            && (file.is_empty() || Path::new(file).file_name().is_none())
        {
            found.push(Problem::new(
                "audit.file",
                "names no file; write a path, or \"stdout\", or take the key out",
            ));
        }
        if in_flight_max >= self.queue_max {
            found.push(Problem::new(
                "audit.queue_max",
                format!("is not above server.in_flight_max, which is {in_flight_max}; raise it"),
            ));
        }
        if self.queue_per_caller_max.is_some_and(|max| max >= self.queue_max) {
            found.push(Problem::new(
                "audit.queue_per_caller_max",
                format!(
                    "is not below audit.queue_max, which is {}: one caller could take all places; lower it",
                    self.queue_max
                ),
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cant_work_is_refused() {
        let audit = |file: &str, queue_max| Audit {
            file: Some(file.to_owned()),
            queue_max,
            ..Audit::default()
        };
        assert!(audit("stdout", 17).problems(16).is_empty());
        assert_eq!(audit("", 17).problems(16).len(), 1);
        assert_eq!(audit("/", 16).problems(16).len(), 2);
        let shared = |max| Audit {
            queue_per_caller_max: Some(max),
            ..audit("stdout", 17)
        };
        assert!(shared(16).problems(16).is_empty());
        let problems = format!("{:?}", shared(17).problems(16));
        assert!(problems.contains("audit.queue_per_caller_max"), "{problems}");
        assert_eq!(
            (shared(9).each_caller_max(), audit("stdout", 17).each_caller_max()),
            (9, 4)
        );
    }
}

//! `[retention]`: how long ended tasks and old events are kept.

use super::schema::section;

/// Ten years in seconds: longer is for ever.
const LONG_S: u64 = 10 * 366 * 24 * 60 * 60;

/// Thirty days in seconds: what came of a month's work can be looked up.
const MONTH_S: u64 = 30 * 24 * 60 * 60;

section! {
    /// How long ended tasks and old events are kept. Tasks that have not ended are never removed. A time that is not 0
    /// must not be below limits.idempotency_ttl_ms, or a repeated send could run its task again.
    pub struct Retention {
        /// Seconds for which COMPLETED tasks are kept; 0: for ever. agents.NAME.retention overrides it.
        completed_s: u64 = MONTH_S, 0..=LONG_S;
        /// Seconds for which FAILED tasks are kept; 0: for ever. agents.NAME.retention overrides it.
        failed_s: u64 = MONTH_S, 0..=LONG_S;
        /// Seconds for which CANCELED tasks are kept; 0: for ever. agents.NAME.retention overrides it.
        canceled_s: u64 = MONTH_S, 0..=LONG_S;
        /// Seconds for which REJECTED tasks are kept; 0: for ever. agents.NAME.retention overrides it.
        rejected_s: u64 = MONTH_S, 0..=LONG_S;
        /// Seconds for which single events of a task are kept that a snapshot stands for; 0: as long as the task. A
        /// reader that comes back with an older cursor is told so and begins with the task.
        events_s: u64 = 0, 0..=LONG_S;
        /// Milliseconds between two passes of retention; 0: none, for those who run `a2ad db prune` themselves.
        interval_ms: u64 = 60_000, 0..=86_400_000;
        /// Milliseconds of rest between two turns of a pass, so that it takes only a share of the database.
        pause_ms: u64 = 50, 0..=60_000;
        /// Events that one turn removes; commits wait for a turn, so it should take milliseconds.
        batch_events: usize = 256, 1..=100_000;
    }
}

section! {
    /// How long tasks of one agent are kept; what is absent is as in `[retention]`.
    pub struct AgentRetention {
        /// Seconds for which COMPLETED tasks are kept; 0: for ever.
        completed_s: Option<u64> = None, 0..=LONG_S;
        /// Seconds for which FAILED tasks are kept; 0: for ever.
        failed_s: Option<u64> = None, 0..=LONG_S;
        /// Seconds for which CANCELED tasks are kept; 0: for ever.
        canceled_s: Option<u64> = None, 0..=LONG_S;
        /// Seconds for which REJECTED tasks are kept; 0: for ever.
        rejected_s: Option<u64> = None, 0..=LONG_S;
    }
}

//! `[execution]`: how agents run, how long, how often, and who waits for them.

use super::schema::{DAY_MS, section};

section! {
    /// Executions of agents: leases, attempts, lines and deadlines.
    pub struct Execution {
        /// Milliseconds for which a running task stays with a process that says nothing; three heartbeats fit in, and two
        /// may fail. A task whose process died waits that long before it is taken up, unless the same SQLite file is
        /// opened again. A process that was cut off from its database for longer may write nothing to the task any more,
        /// but what its agent does elsewhere goes on until the database answers again.
        lease_ms: u64 = 30_000, 1_000..=3_600_000;
        /// Milliseconds between two looks for tasks that nobody holds, and for tasks that have waited too long.
        sweep_interval_ms: u64 = 5_000, 100..=3_600_000;
        /// Times that an agent which can restart begins to work on one message when its process dies each time; the
        /// task fails then. agents.NAME.attempts_max overrides it.
        attempts_max: u32 = 3, 1..=1_000;
        /// Executions of one agent that run at once for one owner; 0: no limit; absent: three quarters of the agent's
        /// executions_max, one at least. An owner at its limit waits in line while others' tasks run at once, so that
        /// tasks which never end don't keep everybody from the agent. Callers without an identity are one owner.
        /// agents.NAME.executions_per_owner_max overrides it.
        executions_per_owner_max: Option<usize> = None, 0..=1_000_000;
        /// Tasks of one agent that wait for a free execution (limits.executions_max); 0: none waits. Beyond it there
        /// is RESOURCE_EXHAUSTED. agents.NAME.queue_max overrides it.
        queue_max: usize = 1_024, 0..=1_000_000;
        /// Waiting tasks of one agent that may be of one owner. Owners are served in turn.
        queue_per_owner_max: usize = 256, 1..=1_000_000;
        /// Milliseconds that one execution may take before its task fails; 0: no limit. An execution works on one message:
        /// every message of a task begins anew, and so does every attempt at one after a crash; waiting in line does
        /// not count. A task may so take attempts_max times as long for each of its messages.
        /// agents.NAME.task_timeout_ms overrides it.
        task_timeout_ms: u64 = 0, 0..=31 * DAY_MS;
        /// Milliseconds that a task may wait for its caller (INPUT_REQUIRED, AUTH_REQUIRED) before it fails; 0: no
        /// limit. agents.NAME.interrupted_ttl_ms overrides it.
        interrupted_ttl_ms: u64 = 7 * DAY_MS, 0..=45 * DAY_MS;
        /// Milliseconds that an agent may hold a thread without awaiting; seen to hold one longer three times, it runs
        /// on threads of its own from then on, as agents do that say that they block.
        poll_ms_max: u64 = 1_000, 1..=3_600_000;
    }
}

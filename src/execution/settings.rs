//! The limits of running tasks.

use std::time::Duration;

use crate::agent::DelegationLimits;
use crate::pb::inspect::InspectLimits;

/// How executions are bounded. Every limit is a configuration key of `[limits]` or `[execution]`.
#[derive(Clone, Debug)]
pub struct ExecutionSettings {
    /// Updates that may wait between an agent and its writer; the agent waits beyond it.
    pub updates_queue_max: usize,
    /// Messages that may wait for a task that is working.
    pub inbox_messages_max: usize,
    /// Events that a task keeps in memory for its subscribers.
    pub ring_events_max: usize,
    /// Bytes of events that a task keeps in memory for its subscribers.
    pub ring_bytes_max: usize,
    /// Events behind the newest snapshot before another one is considered.
    pub snapshot_every_events: usize,
    /// How long an agent may think about a cancel request, and how long it may run on after its task ended.
    pub cancel_timeout: Duration,
    /// Depth, nodes and parts of what an agent says: what callers may not send, agents may not store.
    pub inspect: InspectLimits,
    /// Artifacts that a task may have.
    pub artifacts_max: usize,
    /// Bytes that the log of a task may have.
    pub task_bytes_max: usize,
    /// How long a running task stays with a process that says nothing; a process renews its leases four times as often.
    pub lease: Duration,
    /// How long an agent may hold a thread without awaiting; one that does so repeatedly gets threads of its own.
    pub poll_max: Duration,
    /// How far agents may hand their work on.
    pub delegation: DelegationLimits,
}

impl Default for ExecutionSettings {
    fn default() -> Self {
        Self {
            updates_queue_max: 64,
            inbox_messages_max: 16,
            ring_events_max: 256,
            ring_bytes_max: 1 << 20,
            snapshot_every_events: 64,
            cancel_timeout: Duration::from_secs(10),
            inspect: InspectLimits::default(),
            artifacts_max: 1_000,
            task_bytes_max: 64 << 20,
            lease: Duration::from_secs(30),
            poll_max: Duration::from_secs(1),
            delegation: DelegationLimits::default(),
        }
    }
}

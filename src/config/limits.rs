//! `[limits]`: the bounds of everything that a caller or an agent can make grow.

use super::schema::{DAY_MS, MIB, section};

section! {
    /// Bounds of memory, disk and queues. Beyond one there is a clear error that names it, never a slow decline.
    pub struct Limits {
        /// Nested objects in one request. At most 24: protobuf decoders refuse deeper values that JSON would take.
        depth_max: usize = 24, 1..=24;
        /// JSON values in one request body, counted before anything is built from them.
        nodes_max: usize = 100_000, 1..=10_000_000;
        /// Parts of one message or artifact chunk.
        parts_max: usize = 1_024, 1..=100_000;
        /// Bytes of one part; a larger artifact goes out in chunks. At most server.body_bytes_max.
        part_bytes_max: usize = MIB, 1..=1_073_741_824;
        /// Tasks on a page when the caller names no size.
        page_size_default: u32 = 50, 1..=100;
        /// Tasks on a page at most; 100 is the upper bound of the protocol.
        page_size_max: u32 = 100, 1..=100;
        /// Tasks counted for the total of a listing; beyond it the count stops, so that a listing costs the same
        /// however many tasks there are.
        list_count_max: usize = 5_000, 1..=10_000_000;
        /// Bytes of tasks on a page at most; a page with a single larger task has just that. Below the 4 MiB that
        /// gRPC clients take by default.
        list_bytes_max: usize = 3 * MIB, 1_024..=1_073_741_824;
        /// Messages of a task's history returned at most.
        history_length_max: u32 = 10_000, 1..=1_000_000;
        /// Executions that run at once for one agent; agents.NAME.executions_max overrides it.
        executions_max: usize = 1_024, 1..=1_000_000;
        /// Updates that wait between an executor and the writer of its task; a full queue holds the executor back.
        updates_queue_max: usize = 64, 1..=100_000;
        /// Messages that wait for a running execution to take them.
        inbox_messages_max: usize = 16, 1..=10_000;
        /// Events kept in memory for the subscribers of one task; who falls further behind reads the log.
        ring_events_max: usize = 256, 1..=100_000;
        /// Bytes of events kept in memory for the subscribers of one task.
        ring_bytes_max: usize = MIB, 1..=1_073_741_824;
        /// Streams that one caller may hold open; quotas.principal.streams_max may say less.
        streams_per_caller_max: usize = 1_000, 1..=1_000_000;
        /// Push notification configurations of one task.
        push_configs_per_task_max: usize = 16, 1..=1_000;
        /// Calls in one JSON-RPC batch.
        batch_requests_max: usize = 64, 1..=10_000;
        /// Calls of one JSON-RPC batch that run at once.
        batch_concurrency_max: usize = 16, 1..=10_000;
        /// Bytes of an identifier that a caller chooses: message, context, push configuration, idempotency key.
        id_bytes_max: usize = 128, 36..=1_024;
        /// Milliseconds for which an idempotency key is remembered; a day, so that a client's retries end first.
        idempotency_ttl_ms: u64 = DAY_MS, 1..=31 * DAY_MS;
        /// Events between two snapshots of a task: fewer make reading quicker, more make writing cheaper.
        snapshot_every_events: u32 = 64, 1..=100_000;
        /// Milliseconds that an agent gets to stop after a cancel before its task is canceled without it.
        cancel_timeout_ms: u64 = 10_000, 1..=3_600_000;
        /// Milliseconds between comments on a quiet SSE stream, so that proxies don't close it.
        sse_keepalive_ms: u64 = 15_000, 1..=3_600_000;
        /// Milliseconds that a blocking SendMessage may wait for its task; 0: as long as the client stays.
        blocking_wait_ms_max: u64 = 0, 0..=DAY_MS;
        /// Agents that may have handed a call on, one to the next, before it comes here; a call with more in a2ad-hops is
        /// refused, and agents here hand none on that has as many.
        delegation_hops_max: u32 = 8, 0..=1_000;
        /// Calls that one call, and all calls below it, may hand on to other agents at most; a2ad-budget may say less.
        delegation_budget: u32 = 64, 0..=1_000_000;
        /// Artifacts of one task.
        artifacts_max: usize = 1_000, 1..=1_000_000;
        /// Bytes of one task with its history and artifacts. At least server.body_bytes_max, or its first message
        /// might not fit.
        task_bytes_max: usize = 64 * MIB, 1_024..=4_000_000_000;
    }
}

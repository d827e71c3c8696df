//! Where tasks are kept: a port with three implementations and one conformance suite.
//!
//! [`TaskRepository`] is what the SDKs call a TaskStore. Every read takes the caller's [`Scope`] first, so that a task
//! of somebody else is found exactly as often as one that does not exist. Writes are conditional on the generation and
//! the epoch that the writer believes in; a stale writer is refused by the store itself. [`PushRepository`] is the same
//! store for whoever sends what tasks have to tell to webhooks.
//!
//! - [`memory`]: for tests, demos and benches; nothing survives the process.
//! - [`sea_orm`]: SQLite and PostgreSQL through SeaORM, with group commit; the only room that knows SQL.

mod api_keys;
pub mod conformance;
mod log;
pub mod memory;
mod push;
mod push_form;
mod push_words;
mod retention;
pub mod sea_orm;
mod seal;
mod types;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::task::TaskEvent;

pub use api_keys::{ApiKeyRepository, ApiKeyRow};
pub use push::{
    Backlog, ClaimQuery, Claimed, Claims, Delivery, DeliveryFilter, DeliveryKey, DeliveryState, Due, Except,
    Failure, Next, PushRepository, PushStream, Settlement, Turn, Waiting, webhook_host,
};
pub use push_words::NoDeliveryKey;
pub use retention::{CompactQuery, Compacted, PruneQuery, Pruned};
pub use types::{
    Error, IdempotencyKey, Interrupted, KnownKey, Lapsed, Lease, ListCursor, ListPage, ListQuery, OpenQuery,
    Owners, StoredTask, TaskWrite,
};

/// Keeps tasks, their event logs, idempotency keys and push configurations.
///
/// All methods may be called concurrently. A write that returned `Ok` is durable to the degree that the
/// implementation promises, and dropping the returned future never undoes or tears it.
#[async_trait]
pub trait TaskRepository: Send + Sync + 'static {
    /// Writes one task's new events, state and side rows in one transaction.
    ///
    /// # Errors
    /// [`Error::Stale`] when generation or epoch are not the expected ones, [`Error::KeyTaken`] when an
    /// idempotency key is bound already and has not expired, be it to the same task, [`Error::Unavailable`] when it is
    /// unknown whether the write took place, [`Error::Unstorable`] when no repetition can help. A refused write leaves
    /// nothing.
    async fn commit(&self, write: TaskWrite) -> Result<(), Error>;

    /// The task as it stands, with the generation it was read at.
    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error>;

    /// At most `limit` events with a generation greater than `after`, in order, without a gap. Fewer than that may come
    /// when the next one is damaged; asking for it gives the error.
    ///
    /// # Errors
    /// [`Error::Expired`] when the event behind `after` is past its retention, [`Error::Corrupt`] when it is damaged or
    /// missing.
    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error>;

    /// One page of tasks, sorted by (status time, id) descending.
    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error>;

    /// The task that a live idempotency key belongs to.
    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error>;

    /// Prolongs leases by `ttl` from now, by the clock of the database; each is named by its task and the epoch of its
    /// holder. A lease that its holder has released in the meantime stays released. Gives back the tasks that were
    /// refused, because they have another epoch by now or are gone: whoever held them must stop. A `ttl` of zero hands
    /// leases back: they have run out at once.
    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error>;

    /// At most `limit` tasks whose lease ran out, those that ran out first before others, behind `after`. The runtime's
    /// own read, hence unscoped.
    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error>;

    /// Takes a task over whose lease ran out: its epoch is one higher afterwards, and it is held for `ttl`. Whether it
    /// ran out says the database, by its own clock; `lapsed` says whose the task is and with which epoch it was seen.
    /// `false` if its holder came back, or somebody else was quicker; nothing is changed then.
    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error>;

    /// Ends the lease of a task for good, without a word in its log: nobody takes it up any more. For a task that can't
    /// be read. `false` if it has another epoch by now, or is gone.
    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error>;

    /// At most `limit` tasks of an agent that have waited for their callers (INPUT_REQUIRED, AUTH_REQUIRED) since
    /// `until_ms` or longer, the oldest first, behind `after`. The runtime's own read, hence unscoped.
    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error>;

    /// Whether push configurations can be stored as they have to be, for whoever wants to know before a task depends on
    /// it.
    ///
    /// # Errors
    /// [`Error::Secrets`] when they hold secrets and there is no key to seal them with.
    async fn check_push_configs(&self, _configs: &[TaskPushNotificationConfig]) -> Result<(), Error> {
        Ok(())
    }

    /// How many tasks have not ended, no further than the query's limit: counting costs no more than that, however many
    /// tasks there are. The runtime's own read, hence unscoped.
    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error>;

    /// Stores or replaces the push configuration with the id that it carries; `false` if the task does not exist. What
    /// waits for one that is replaced goes on waiting, and is due at once.
    ///
    /// # Errors
    /// [`Error::TooMany`] when the task has `limit` configurations with other ids; [`Error::Secrets`] as for
    /// [`TaskRepository::check_push_configs`].
    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error>;

    /// The push configurations of a task, by id; `None` if the task does not exist.
    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error>;

    /// Removes a push configuration and what waits for it; removing one that does not exist is fine. `false` if the task
    /// does not exist.
    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error>;

    /// The names of all agents that have tasks, in order. The runtime's own read, hence unscoped.
    async fn agents(&self) -> Result<Vec<String>, Error>;

    /// Removes ended tasks, the oldest first, with their events, push configurations, dead letters and idempotency keys: one
    /// turn. Tasks of which something waits to be sent stay. A task that is longer than a turn first loses the beginning of its log, as by [`TaskRepository::compact`]; it
    /// reads as ever until the turn in which it goes as a whole. The runtime's own, hence unscoped.
    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error>;

    /// Removes old events that a snapshot stands for: one turn. Of every log a beginning goes, never a piece from the
    /// middle, and never the commit that has the newest snapshot, nor an event that the outbox names; the task reads as ever, and asking for its removed
    /// events gives [`Error::Expired`]. The runtime's own, hence unscoped.
    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error>;

    /// Whether reads and writes work now, for health checks.
    async fn check(&self) -> Result<(), Error>;

    /// Waits for what is queued, then closes connections. The repository takes nothing afterwards.
    async fn close(&self);
}

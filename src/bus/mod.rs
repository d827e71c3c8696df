//! The doorbell between writers and readers of tasks: "task X is at generation n".
//!
//! The database is the truth and a doorbell carries no events, so losing one costs latency and nothing else: whoever
//! is woken reads the log. One node needs only [`LocalBus`].

mod local;

use std::sync::Arc;

pub use local::LocalBus;

/// The news that a task has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doorbell {
    /// The task.
    pub task_id: Arc<str>,
    /// The generation that is committed.
    pub generation: u64,
}

/// Somebody who wants to hear doorbells. It is called on the writer's path and must not block.
pub trait Listener: Send + Sync {
    /// A task has moved on.
    fn hear(&self, doorbell: &Doorbell);
}

/// Carries doorbells to all nodes, this one included.
pub trait Bus: Send + Sync + 'static {
    /// Tells every listener. It never waits and never fails: a lost doorbell is made good by reading the log.
    fn publish(&self, doorbell: &Doorbell);

    /// Adds a listener for the lifetime of the bus.
    fn listen(&self, listener: Arc<dyn Listener>);
}

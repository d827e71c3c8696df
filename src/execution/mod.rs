//! Running agents: one writer per task, and live streams of what it writes.
//!
//! - [`Executions`] is the way in: start a task, send it a message, cancel it, subscribe to it, recover it.
//! - `writer` turns updates into events and events into conditional writes; nothing else changes a stored task.
//! - `turn` drives one execution of an agent; `actor` owns a task while something happens to it; `commit` brings its
//!   writes to the repository, however long that takes.
//! - `leases` keeps what this process holds, `recover` and [`Sweeper`] take up what others let go.
//! - `live` is what subscribers read first, the bounded `ring` of a task, `subscription` the reader that falls back to
//!   the log; `registry` knows the writers that run.

mod actor;
mod chain;
mod command;
mod commit;
mod executions;
mod fence;
#[cfg(test)]
mod interleavings;
mod leases;
mod live;
mod metered;
mod outcome;
mod reader;
mod recover;
mod registry;
mod resume;
mod ring;
mod settings;
mod start;
mod subscription;
mod sweep;
mod sync;
mod tail;
mod threads;
mod trail;
mod turn;
mod writer;

pub use command::{Answer, Incoming, Permits, Wait};
pub use executions::Executions;
pub(crate) use executions::of_write;
pub use settings::ExecutionSettings;
pub use start::NewTask;
pub use subscription::EventStream;
pub use sweep::{Sweeper, Swept};

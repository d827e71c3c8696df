//! Running agents: one writer per task, and live streams of what it writes.
//!
//! - [`Executions`] is the way in: start a task, send it a message, cancel it, subscribe to it, recover it.
//! - `writer` turns updates into events and events into conditional writes; nothing else changes a stored task.
//! - `turn` drives one execution of an agent; `actor` owns a task while something happens to it.
//! - `live` is the bounded ring that subscribers read first, `subscription` the reader that falls back to the log.

mod actor;
mod command;
mod executions;
mod live;
mod new_task;
mod reader;
mod settings;
mod subscription;
mod turn;
mod writer;

pub use command::{Answer, Incoming};
pub use executions::Executions;
pub use new_task::{Accepted, NewTask, Wait};
pub use settings::ExecutionSettings;
pub use subscription::EventStream;

//! The task as a state machine: an append-only list of events, and the pure function that folds them.
//!
//! No I/O, no clock, no async in here. A [`TaskEvent`] is what the log stores and streams send; [`apply`] is the only
//! way in which one changes a task, whether it is just being written or replayed years later.

mod apply;
mod event;
mod id;
mod state;

pub(crate) use apply::append as join_chunk;
pub use apply::{Refusal, apply, receive, replay};
pub use event::{ReplayError, TaskEvent};
pub use id::{SeededIds, check_id, check_label, new_id};
pub use state::{is_interrupted, is_settled, is_terminal, may_follow};

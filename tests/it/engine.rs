//! The engine: what a task's life looks like to callers, readers and the repository, whatever its agent does.

pub mod cancel;
pub mod faults;
pub mod messages;
pub mod recovery;
pub mod streams;
pub mod turns;

//! The engine: what a task's life looks like to callers, readers and the repository, whatever its agent does.

mod cancel;
mod faults;
mod messages;
mod recovery;
mod streams;
mod turns;

//! The engine: what a task's life looks like to callers, readers and the repository, whatever its agent does.

pub mod blocking;
pub mod cancel;
pub mod damaged;
pub mod deadlines;
pub mod faults;
pub mod foreign;
pub mod heartbeats;
pub mod inbox;
pub mod leases;
pub mod lines;
pub mod messages;
pub mod recovery;
pub mod streams;
mod timed;
pub mod turns;

//! The engine: what a task's life looks like to callers, readers and the repository, whatever its agent does.

mod blocking;
mod cancel;
mod deadlines;
mod faults;
mod leases;
mod lines;
mod messages;
mod recovery;
mod streams;
mod turns;

//! Every interleaving of threads at the ring and at the mailboxes, up to a number of deviations.
//!
//! `live`, `subscription` and `registry` run here from their own source, a second time in this crate: what they call
//! `super::sync` is a room of shuttle's, which lets another thread run before each step and notices when everybody
//! sleeps for ever. The writer of a task and its repository are those that run everywhere: they share nothing.

mod explore;
mod mailboxes;
mod readers;
mod small;
mod sync;

#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "the same source on purpose, and not all of it"
)]
#[path = "../live.rs"]
mod live;
#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "the same source on purpose, and not all of it"
)]
#[path = "../registry.rs"]
mod registry;
#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "the same source on purpose, and not all of it"
)]
#[path = "../subscription.rs"]
mod subscription;

// What those three ask of the room that they are in.
use super::super::{ExecutionSettings, command, ring};

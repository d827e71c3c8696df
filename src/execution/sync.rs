//! What the live side of tasks and the mailboxes of writers are synchronised with.
//!
//! They name these things by this room only, because they run twice: with these, and in `interleavings/threads`, from
//! the same source, with others that let another thread run before each of their steps.

pub(super) use std::sync::Mutex;

pub(super) use dashmap::DashMap;
pub(super) use dashmap::mapref::entry::Entry;
pub(super) use tokio::sync::{Notify, mpsc, watch};

//! The client library against servers: ours, those of the official SDKs, and hostile ones.

mod calls;
mod harness;
mod refusals;
pub mod script;

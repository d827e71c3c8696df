//! The client library against servers: ours, those of the official SDKs, and hostile ones.

mod calls;
mod harness;
mod hostile;
mod hostile_grpc;
mod official;
mod raw_host;
mod refusals;
mod script;

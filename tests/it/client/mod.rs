//! The client library against servers: ours, those of the official SDKs, and hostile ones; its cards and credentials.

mod calls;
mod cards;
mod credentials;
mod harness;
mod hostile;
mod hostile_grpc;
mod oauth;
mod official;
mod raw_host;
mod refusals;
pub mod script;
mod site;
mod uploads;

//! The client library against servers: ours, those of the official SDKs, and hostile ones; its cards and credentials.

mod calls;
mod cards;
mod credentials;
mod harness;
mod hostile;
mod hostile_grpc;
mod limits;
mod oauth;
mod official;
mod protected;
mod raw_host;
mod rebinding;
mod refusals;
pub mod script;
mod site;
mod uploads;

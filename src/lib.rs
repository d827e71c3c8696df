//! a2ad: a gRPC-first runtime for agents that speak A2A (the Agent2Agent protocol).
//!
//! The crate is a stack of rooms; a room may use the ones below it, never one above.
//!
//! | level  | rooms |
//! |--------|-------|
//! | base   | [`pb`] [`error`] [`access`] [`context`] [`quota`] [`audit`] [`clock`] [`config`] [`shutdown`] [`telemetry`] [`tls`] [`fault`] [`slots`] [`egress`] [`secrets`] [`signature`] |
//! | pure   | [`task`] (the state machine) and [`agent`] (what an agent author implements) |
//! | ports  | [`repository`] (durable tasks) and [`bus`] (wake-ups between nodes) |
//! | engine | [`execution`] (one writer per task, live streams) and [`push`] (webhooks) |
//! | core   | [`service`] (the A2A operations, one file each) |
//! | edge   | [`auth`] (who calls), [`api`] (the three bindings), [`server`] (sockets), [`client`] |
//! | root   | [`app`] builds a runtime out of all of them |
//!
//! `tests/it/layering.rs` fails when a room reaches upwards.

pub mod access;
pub mod agent;
pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod bus;
pub mod client;
pub mod clock;
pub mod config;
pub mod context;
pub mod egress;
pub mod error;
pub mod execution;
pub mod fault;
pub mod pb;
pub mod push;
pub mod quota;
pub mod repository;
pub mod secrets;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod signature;
pub mod slots;
pub mod task;
pub mod telemetry;
pub mod tls;

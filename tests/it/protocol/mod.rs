//! The protocol over real sockets: every test runs on gRPC, JSON-RPC and HTTP+JSON.

mod addressing;
mod draining;
mod edges;
mod limits;
mod listing;
mod panics;
mod push;
mod same;
mod sending;
mod stalled;
mod streaming;
mod tasks;
mod turns;

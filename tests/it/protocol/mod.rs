//! The protocol over real sockets: every test runs on gRPC, JSON-RPC and HTTP+JSON.

mod sending;

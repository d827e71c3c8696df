//! Every integration test of the crate, in one binary: it links once.

mod config_files;
mod demo_agents;
mod mtls_sockets;
mod repositories;
mod server_sockets;
mod sockets;
mod support;

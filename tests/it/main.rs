//! Every integration test of the crate, in one binary: it links once.

mod config_files;
mod demo_agents;
mod engine;
mod mtls_sockets;
mod repositories;
mod repository_model;
mod server_sockets;
mod sockets;
mod support;
mod task_machine;

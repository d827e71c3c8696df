//! Every integration test of the crate, in one binary: it links once.

mod config_files;
mod demo_agents;
mod descriptor;
mod json_bindings;
mod json_forms;
mod mtls_sockets;
mod openapi;
mod python;
mod server_sockets;
mod sockets;

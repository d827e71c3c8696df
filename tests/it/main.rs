//! Every integration test of the crate, in one binary: it links once.

mod config_files;
mod demo_agents;
mod descriptor;
mod engine;
mod json_bindings;
mod json_forms;
mod mtls_sockets;
mod openapi;
mod protocol;
mod python;
mod repositories;
mod repository_model;
mod server_sockets;
mod sockets;
mod support;
mod task_machine;

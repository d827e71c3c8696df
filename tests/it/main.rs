//! Every integration test of the crate, in one binary: it links once.

mod binary;
mod config_files;
mod demo_agents;
mod descriptor;
mod engine;
mod json_bindings;
mod json_forms;
mod kill;
mod mtls_sockets;
mod openapi;
mod peers;
mod peers_grpc;
mod peers_mtls;
mod peers_sdk;
mod python;
mod repositories;
mod repository_model;
mod server_sockets;
mod sockets;
mod support;
mod task_machine;

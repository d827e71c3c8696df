//! Every integration test of the crate, in one binary: it links once.

mod bad_input;
mod binary;
mod config_files;
mod demo_agents;
mod descriptor;
mod engine;
mod errors;
mod json_bindings;
mod json_forms;
mod kill;
mod layering;
mod mtls_sockets;
mod openapi;
mod peers;
mod peers_grpc;
mod peers_mtls;
mod peers_sdk;
mod protocol;
mod python;
mod repositories;
mod repository_model;
mod server_sockets;
mod simulation;
mod sockets;
mod support;
mod task_machine;

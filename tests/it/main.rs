//! Every integration test of the crate, in one binary: it links once.

mod bad_input;
mod binary;
mod config_files;
mod damage;
mod db_commands;
mod demo_agents;
mod descriptor;
mod disk_full;
mod drain;
mod durability;
mod engine;
mod errors;
#[path = "../durability/mod.rs"]
mod harness;
mod json_bindings;
mod json_forms;
mod layering;
mod list_plans;
mod mtls_sockets;
mod openapi;
mod peers;
mod peers_grpc;
mod peers_mtls;
mod peers_sdk;
mod postgres;
mod protocol;
mod python;
mod repositories;
mod repository_model;
mod resuming;
mod retention;
mod server_sockets;
mod sockets;
mod support;
mod task_machine;

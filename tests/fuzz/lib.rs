//! The bodies of the fuzz targets. The ordinary tests compile the same files and replay the corpus.

pub mod bodies;

#[path = "../../examples/echo/agent.rs"]
mod echo;

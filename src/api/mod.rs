//! The edge: three bindings over one core, on one port.
//!
//! A request comes in at [`Api::handle`], which tells gRPC from everything else by its content type. Each binding
//! decodes, makes one call of `AgentService`, and encodes; `call` reads what all of them find in headers. Only
//! this room knows HTTP and JSON.

mod call;
mod callers;
mod grpc;
mod http;
mod meter;
mod patience;
mod settings;
mod stack;

pub use settings::ApiSettings;
pub use stack::{Api, Handled, SetupError};

/// The body of every response.
pub type Body = tonic::body::Body;

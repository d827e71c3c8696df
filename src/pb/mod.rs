//! temp
#[allow(missing_docs, clippy::all)]
mod g { tonic::include_proto!("lf.a2a.v1"); }
pub use g::*;
pub use prost_types::{Struct, Value, Timestamp, value};

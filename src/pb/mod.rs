//! The protocol's messages, and every form of them: protobuf, ProtoJSON, URL queries, OpenAPI.
//!
//! Owns `proto/` and what build.rs makes of it. The generated messages are the domain types of the whole crate; there
//! is no second model. Knows nothing of HTTP, of tasks' rules or of storage.
//!
//! Start at [`json`] for text in and out, at [`query`] for URL parameters, and at [`inspect`](mod@inspect) for what
//! must hold before a message goes any further.

pub mod admin;
pub mod inspect;
pub mod json;
pub mod query;

mod codec;

/// What prost and tonic generate, with the comments of the proto file.
#[allow(
    missing_docs,
    deprecated,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "generated code"
)]
mod generated {
    use super::codec;
    use super::inspect::{Inspect, Inspector, Path};

    include!(concat!(env!("OUT_DIR"), "/lf.a2a.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/json.rs"));
    include!(concat!(env!("OUT_DIR"), "/inspect.rs"));
}

pub use generated::*;
pub use prost_types::{ListValue, NullValue, Struct, Timestamp, Value, value};

/// The generated gRPC client.
pub mod client {
    pub use super::generated::a2a_service_client::A2aServiceClient;
}

/// The descriptors of `lf/a2a/v1/a2a.proto` and all its imports, for gRPC reflection: an encoded
/// `google.protobuf.FileDescriptorSet` without comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The OpenAPI 3.1 document of the HTTP+JSON binding (specification section 11), made from the same descriptors.
pub const OPENAPI_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

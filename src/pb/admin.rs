//! The messages of `a2ad.admin.v1`, the operators' service, in the same forms as those of the protocol.

/// What prost and tonic generate, with the comments of the proto file.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "generated code"
)]
mod generated {
    use crate::pb::codec;
    use crate::pb::inspect::{Inspect, Inspector, Path};

    include!(concat!(env!("OUT_DIR"), "/a2ad.admin.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/admin_json.rs"));
    include!(concat!(env!("OUT_DIR"), "/admin_inspect.rs"));
}

use super::inspect::Shaped;

pub use generated::*;

/// The generated gRPC client.
pub mod client {
    pub use super::generated::push_service_client::PushServiceClient;
}

/// The descriptors of `a2ad/admin/v1/push.proto` and all its imports, for gRPC reflection: an encoded
/// `google.protobuf.FileDescriptorSet` without comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin_descriptors.bin"));

impl Shaped for ListDeliveriesRequest {}
impl Shaped for GetDeliveryRequest {}
impl Shaped for RedeliverDeliveriesRequest {}
impl Shaped for DiscardDeliveriesRequest {}

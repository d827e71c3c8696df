//! The gRPC binding (specification section 10).
//!
//! Dispatch is written by hand instead of generated, for two reasons: streams send the very bytes that the log holds,
//! without decoding them, and a message that does not decode is the caller's fault here, not ours.

mod admin;
mod codec;
mod dispatch;
mod status;
mod timeout;

pub(super) use dispatch::handle;
pub(super) use status::refuse;

/// The full name of the protocol's service.
pub(super) const SERVICE: &str = "lf.a2a.v1.A2AService";

/// The full name of the operators' service.
const ADMIN_SERVICE: &str = "a2ad.admin.v1.PushService";

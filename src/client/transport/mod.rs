//! The bindings: each makes HTTP requests out of calls, and replies out of what comes back.
//!
//! A transport is a [`tower::Service`] of one [`Target`]; layers go around it. No binding may behave differently from the
//! others: what a caller sees of an error is its kind.

mod errors;
mod grpc;
pub(super) mod grpc_channel;
mod http;
mod http_json;
mod json_rpc;
mod message;
mod sse;
pub(super) mod status;
mod stream;

use tower::util::BoxCloneSyncService;

use super::connections::Connections;
use super::settings::ClientSettings;
use super::{Call, Error, Reply, Target};
use crate::context::Binding;

/// Whatever makes calls: a binding, or one with layers around it.
pub type Transport = BoxCloneSyncService<Call, Reply, Error>;

/// The binding of a target.
pub fn transport(target: &Target, connections: &Connections, settings: &ClientSettings) -> Transport {
    match target.binding {
        Binding::Grpc => BoxCloneSyncService::new(grpc::Grpc::new(target, connections, settings)),
        Binding::JsonRpc => BoxCloneSyncService::new(json_rpc::JsonRpc::new(target, connections, settings)),
        Binding::HttpJson => {
            BoxCloneSyncService::new(http_json::HttpJson::new(target, connections, settings))
        }
    }
}

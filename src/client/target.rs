//! One interface of one agent: where calls go.

use std::sync::Arc;

use http::Uri;

use crate::context::Binding;
use crate::pb::{AgentCard, AgentInterface};

/// One interface of an agent (specification 4.4.6), in the form in which it is used.
#[derive(Clone, Debug)]
pub struct Target {
    /// The binding.
    pub binding: Binding,
    /// Where: of gRPC the origin, of JSON-RPC the endpoint, of HTTP+JSON what its paths go behind. Checked by the egress
    /// policy of the client.
    pub url: Uri,
    /// What goes into the `tenant` of every request; empty for none.
    pub tenant: String,
    /// The protocol version that is named with every call: `1.0`.
    pub version: String,
    /// The card that the interface stands in, if there is one.
    pub card: Option<Arc<AgentCard>>,
}

impl Target {
    /// `scheme://host:port`, to which credentials are bound.
    pub fn origin(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or("https");
        let port = self
            .url
            .port_u16()
            .unwrap_or(if scheme == "https" { 443 } else { 80 });
        format!("{scheme}://{}:{port}", self.url.host().unwrap_or_default())
    }

    /// Whether the card declares an extension (specification 4.6).
    pub fn declares(&self, uri: &str) -> bool {
        let capabilities = self.card.as_ref().and_then(|card| card.capabilities.as_ref());
        let mut extensions = capabilities.into_iter().flat_map(|one| &one.extensions);
        extensions.any(|extension| extension.uri == uri)
    }

    /// The binding that an interface of a card names, if it is one of ours.
    pub fn binding_of(interface: &AgentInterface) -> Option<Binding> {
        let bindings = [Binding::Grpc, Binding::JsonRpc, Binding::HttpJson];
        bindings
            .into_iter()
            .find(|binding| binding.as_str().eq_ignore_ascii_case(&interface.protocol_binding))
    }
}

//! Who calls, and what travels with the call: filled in once at the edge, read everywhere below.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::Caller;
pub use crate::access::Principal;
use crate::quota::Traffic;

/// What a caller may see: the tasks of one owner at one agent. Every read of a repository takes one first, so an
/// unscoped look-up does not compile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The name of the agent.
    pub agent: Arc<str>,
    /// The owner whose tasks may be seen.
    pub owner: Principal,
}

/// A place in a W3C trace: the `traceparent` header, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole `traceparent` value, version 00.
    pub traceparent: String,
    /// The `tracestate` value that came with it, passed on untouched.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// Takes a `traceparent` value if it has the form of version 00 and non-zero ids.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut fields = traceparent.split('-');
        let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let zero = |text: &str| text.bytes().all(|b| b == b'0');
        let good = fields.next().is_none()
            && version == "00"
            && hex(trace, 32)
            && !zero(trace)
            && hex(span, 16)
            && !zero(span)
            && hex(flags, 2);
        good.then(|| Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.filter(|state| state.len() <= 512).map(str::to_owned),
        })
    }

    /// The same trace with this runtime's own span in it: what agents and callers are handed. `span` must not be 0.
    #[must_use]
    pub fn within(&self, span: u64) -> Self {
        let (trace, flags) = (self.trace_id(), &self.traceparent[53..]);
        Self {
            traceparent: format!("00-{trace}-{span:016x}-{flags}"),
            tracestate: self.tracestate.clone(),
        }
    }

    /// The 32 hex digits of the trace id.
    pub fn trace_id(&self) -> &str {
        &self.traceparent[3..35]
    }
}

/// Where a call stands in a chain of agents that hand a task on, as its caller says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many agents have handed it on so far (`a2ad-hops`).
    pub hops: u32,
    /// How many further calls this one and all below it may hand on (`a2ad-budget`); `None`: as many as the server allows.
    pub budget: Option<u32>,
}

/// The protocol binding that a call came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// gRPC and gRPC-Web.
    Grpc,
    /// JSON-RPC 2.0.
    JsonRpc,
    /// HTTP+JSON.
    HttpJson,
}

impl Binding {
    /// The name that agent cards use for it (specification 4.4.6).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "GRPC",
            Self::JsonRpc => "JSONRPC",
            Self::HttpJson => "HTTP+JSON",
        }
    }
}

/// What the edge knows about one call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Who calls, and what it may do.
    pub caller: Arc<Caller>,
    /// The binding that the call came by.
    pub binding: Binding,
    /// Where the connection comes from, if it came over a socket.
    pub peer: Option<SocketAddr>,
    /// The id under which the call is logged and answered (`x-request-id`).
    pub request_id: Arc<str>,
    /// The trace that the caller is in, with a span of ours.
    pub trace: Option<Arc<TraceContext>>,
    /// The `A2A-Version` that the caller named; empty when it named none.
    pub version: Option<Arc<str>>,
    /// The extensions that the caller declared in `A2A-Extensions`.
    pub extensions: Arc<[String]>,
    /// The agent named by a path prefix, if the URL had one.
    pub path_agent: Option<Arc<str>>,
    /// The key that makes a send idempotent (`idempotency-key`).
    pub idempotency_key: Option<Arc<str>>,
    /// The last generation that a resuming reader has seen (`Last-Event-ID`, `a2ad-last-generation`).
    pub last_generation: Option<u64>,
    /// The chain that the call is part of, if it says so.
    pub chain: Option<Chain>,
    /// The bytes of its bodies, where they are counted.
    pub traffic: Option<Arc<Traffic>>,
}

impl CallContext {
    /// A call that came by no binding: what goes on for `principal` when its callers are gone.
    pub fn detached(principal: Principal, request_id: Arc<str>) -> Self {
        Self {
            caller: Arc::new(Caller::named(principal)),
            binding: Binding::Grpc,
            peer: None,
            request_id,
            trace: None,
            version: None,
            extensions: Arc::from([]),
            path_agent: None,
            idempotency_key: None,
            last_generation: None,
            chain: None,
            traffic: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_only_in_its_exact_form() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            TraceContext::parse(good, None).map(|t| t.trace_id().to_owned()),
            Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned())
        );
        let ours = TraceContext::parse(good, None).map(|trace| trace.within(0xab).traceparent);
        assert_eq!(
            ours.as_deref(),
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01")
        );
        for bad in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bé-01",
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
    }
}

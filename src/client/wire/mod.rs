//! Looking at what goes over the wire: each call as it reaches its binding, and each exchange of HTTP as it is sent and as it
//! comes.
//!
//! Whoever looks sees credentials. [`Tap`] is for people who search for a fault; it changes nothing of what is sent.

mod line;

use std::sync::Arc;

use http::HeaderMap;
use http::{request, response};

use super::Target;
use super::transport::Transport;

pub(super) use line::{Inbound, Line};

/// Looks at what goes over the wire. What it shows to people, and what it hides from them, is its own affair.
pub trait Tap: Send + Sync + 'static {
    /// Puts something around the binding of an interface, where calls pass as they are sent, credentials included.
    fn around(&self, binding: Transport, target: &Target) -> Transport {
        let _ = target;
        binding
    }

    /// What looks at one more exchange of HTTP, if anything does.
    fn exchange(&self) -> Option<Arc<dyn Exchange>> {
        None
    }
}

/// Looks at one exchange of HTTP. It is asked from the tasks that send and receive, which must not wait for it.
pub trait Exchange: Send + Sync + 'static {
    /// Something has come by.
    fn see(&self, seen: Seen<'_>);
}

/// What comes by.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The head of the request, without what the connection itself says, such as `host`.
    Request(&'a request::Parts),
    /// The head of the answer.
    Response(&'a response::Parts),
    /// Bytes of a body. Of gRPC they are frames, of the others text.
    Data(Way, &'a [u8]),
    /// What stands behind a body.
    Trailers(&'a HeaderMap),
    /// No more of a body comes: it is over, or nobody reads on.
    End(Way),
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the agent.
    Out,
    /// From the agent.
    In,
}

//! One of the interfaces of an agent that calls can go to.

use std::fmt;
use std::sync::Arc;

use super::Target;
use super::transport::Transport;

/// An interface with what makes calls to it.
#[derive(Clone)]
pub struct Instance {
    /// The interface.
    pub target: Arc<Target>,
    /// Its binding, with the credentials that belong to it.
    pub transport: Transport,
}

impl fmt::Debug for Instance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Instance")
            .field("target", &self.target)
            .finish()
    }
}

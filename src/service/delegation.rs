//! Chains of agents that hand a task on: they end.

use super::Inner;
use crate::context::CallContext;
use crate::error::{Error, Kind};

impl Inner {
    /// Refuses a call that too many agents have handed on. Trying again does not help, so nothing says when to.
    pub(super) fn check_chain(&self, call: &CallContext) -> Result<(), Error> {
        let max = self.settings.delegation_hops_max;
        let hops = call.chain.unwrap_or_default().hops;
        if hops <= max {
            return Ok(());
        }
        let message = format!(
            "{hops} agents have handed this call on (a2ad-hops), and {max} may (delegation_hops_max); agents that call \
             each other in a circle never end, so look for one, or raise the limit"
        );
        Err(Error::new(Kind::ResourceExhausted, message)
            .with("reason", "delegation")
            .with("limit", max.to_string()))
    }
}

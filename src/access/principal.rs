//! The name of a caller.

use std::fmt;
use std::sync::Arc;

/// The caller by name, as authentication knows it: `spiffe://example.org/billing`, `dns:client.example.org`,
/// `jwt:https://idp.example.org#alice`, `key:ci`, or `anonymous` where nobody has to say who they are. The owner of a task
/// has this form as well, see [`Caller::owner`](super::Caller::owner).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The caller of a runtime that asks for no credential: nobody in particular.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }

    /// A caller known by a verified identity, for example `spiffe://example.org/billing`.
    pub fn verified(identity: &str) -> Self {
        Self(Arc::from(identity))
    }

    /// The name as text; for an owner this is what stands in the owner column of a task.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

//! Which operators may do what, and to whose deliveries.

use super::PushAdmin;
use super::asked::Asked;
use crate::access::{self, AdminMethod, CredentialKind};
use crate::context::CallContext;
use crate::error::Error;

impl PushAdmin {
    /// Lets a call in: not while draining, only for callers that are known, whose role names the operation, and for agents
    /// of that role. What waits for tasks of other organisations is left out.
    pub(super) fn admit(
        &self,
        call: &CallContext,
        method: AdminMethod,
        asked: &mut Asked,
    ) -> Result<(), Error> {
        if self.0.shutdown.is_draining() {
            return Err(Error::unavailable(
                "the server is shutting down; try again in a moment, or another node",
            ));
        }
        let account = self.0.quotas.admit_operator(&call.caller, call.peer)?;
        if let Some(traffic) = &call.traffic {
            traffic.charge_to(&account);
        }
        check_permission(call, method, asked)?;
        let organisation = call.caller.organisation.as_deref();
        asked.filter.owners = organisation.map(|name| access::owners_of(name).into());
        Ok(())
    }
}

fn check_permission(call: &CallContext, method: AdminMethod, asked: &Asked) -> Result<(), Error> {
    let caller = &call.caller;
    let is_known = caller.credential.kind != CredentialKind::None;
    if !is_known || !caller.grants.administer_some(method) {
        return Err(Error::permission_denied(format!(
            "{} may not use {}; ask for a role that names it or \"{}\"",
            caller.principal,
            method.as_str(),
            AdminMethod::GROUP
        ))
        .with("operation", method.as_str()));
    }
    // The agent of a single delivery is known when that is found.
    let filter = &asked.filter;
    if asked.is_one || caller.grants.administer(filter.agent.as_deref(), method) {
        return Ok(());
    }
    let message = match &filter.agent {
        None => format!(
            "{} may use {} for some agents only; name one in filter.agent",
            caller.principal,
            method.as_str()
        ),
        Some(_) => format!(
            "{} may not use {} for this agent; ask for a role that allows it",
            caller.principal,
            method.as_str()
        ),
    };
    Err(Error::permission_denied(message).with("operation", method.as_str()))
}

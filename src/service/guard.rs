//! Who may do what: one decision for every call, before anything else happens.

use std::sync::Arc;

use super::{Inner, Method, version};
use crate::agent::Agent;
use crate::context::{CallContext, Scope};
use crate::error::{Error, Kind};
use crate::pb::AgentCapabilities;
use crate::quota::Account;

/// A call that was let in: to which agent, and whose tasks it may see.
pub(super) struct Admission {
    pub(super) agent: Arc<Agent>,
    pub(super) method: Method,
    pub(super) scope: Scope,
    /// What the call may use.
    pub(super) account: Account,
    /// The organisation of the caller.
    pub(super) organisation: Option<Arc<str>>,
}

/// What a method needs of an agent's card.
enum Needs {
    Nothing,
    Streaming,
    PushNotifications,
    ExtendedCard,
}

/// Total, so that a new method does not compile until it has a policy.
fn needs(method: Method) -> Needs {
    match method {
        Method::SendMessage | Method::GetTask | Method::ListTasks | Method::CancelTask => Needs::Nothing,
        Method::SendStreamingMessage | Method::SubscribeToTask => Needs::Streaming,
        Method::CreateTaskPushNotificationConfig
        | Method::GetTaskPushNotificationConfig
        | Method::ListTaskPushNotificationConfigs
        | Method::DeleteTaskPushNotificationConfig => Needs::PushNotifications,
        Method::GetExtendedAgentCard => Needs::ExtendedCard,
    }
}

impl Inner {
    /// Lets a call in: not while draining, only in a version that is served, only to an agent that the caller knows of and
    /// may use in this way, that is able to, and only with the extensions that it requires.
    pub(super) fn admit(&self, call: &CallContext, method: Method, tenant: &str) -> Result<Admission, Error> {
        self.check_serving()?;
        version::check(call, self.settings.strict_version)?;
        let agent = self.addressed(call, tenant)?;
        self.permit_or_deny(call, method, agent)?;
        let account = self.charge(call, agent)?;
        check_abilities(call, method, agent)?;
        Ok(Admission {
            agent: agent.clone(),
            method,
            scope: Scope {
                agent: agent.name.clone(),
                owner: call.caller.owner.clone(),
            },
            account,
            organisation: call.caller.organisation.clone(),
        })
    }

    fn check_serving(&self) -> Result<(), Error> {
        if self.shutdown.is_draining() {
            return Err(Error::unavailable(
                "the server is shutting down; try again in a moment, or another node",
            ));
        }
        Ok(())
    }

    /// What is not allowed is charged to who asked for it, and not to the agent that others share.
    fn permit_or_deny(&self, call: &CallContext, method: Method, agent: &Agent) -> Result<(), Error> {
        let Err(denied) = check_permission(call, method, &agent.name) else {
            return Ok(());
        };
        self.quotas.deny(&call.caller, call.peer)?;
        Err(denied)
    }

    /// The agent that a call is for: the tenant's, the path's, or the default one.
    pub(super) fn addressed(&self, call: &CallContext, tenant: &str) -> Result<&Arc<Agent>, Error> {
        let name = match (&call.path_agent, tenant) {
            (None, "") => &self.agents.default_agent().name,
            (Some(path), "") => path,
            (None, tenant) => tenant,
            (Some(path), tenant) if **path == *tenant => tenant,
            (Some(_), _) => {
                return Err(Error::invalid(
                    "tenant",
                    "the tenant is not the agent that the URL names",
                ));
            }
        };
        let agent = self.agents.get(name);
        let known = agent.filter(|agent| agent.options.is_known_to(&call.caller));
        known.ok_or_else(|| {
            let known: String = name.chars().take(64).collect();
            Error::new(
                Kind::NotFound,
                "no such agent; its card at /.well-known/agent-card.json names the tenant",
            )
            .with("tenant", known)
        })
    }

    /// The extensions that the caller asked for and the agent declares.
    pub(super) fn activated_extensions(&self, call: &CallContext, tenant: &str) -> Vec<String> {
        if call.extensions.is_empty() {
            return Vec::new();
        }
        let Ok(agent) = self.addressed(call, tenant) else {
            return Vec::new();
        };
        let declared = agent
            .card
            .capabilities
            .iter()
            .flat_map(|capabilities| &capabilities.extensions);
        declared
            .map(|extension| &extension.uri)
            .filter(|uri| call.extensions.contains(uri))
            .cloned()
            .collect()
    }
}

/// What the caller may not do it is told before anything about the agent's abilities.
pub(super) fn check_permission(call: &CallContext, method: Method, agent: &str) -> Result<(), Error> {
    let caller = &call.caller;
    if caller.grants.permit(agent, method) {
        return Ok(());
    }
    Err(Error::permission_denied(format!(
        "{} may not use {} of {agent}; ask the operator for a role that allows it",
        caller.principal,
        method.as_str()
    ))
    .with("operation", method.as_str()))
}

/// What the agent's card says that it is able to, and what it asks for.
fn check_abilities(call: &CallContext, method: Method, agent: &Agent) -> Result<(), Error> {
    let none = AgentCapabilities::default();
    let capabilities = agent.card.capabilities.as_ref().unwrap_or(&none);
    check_capability(method, capabilities)?;
    check_extensions(call, capabilities)
}

fn check_capability(method: Method, capabilities: &AgentCapabilities) -> Result<(), Error> {
    let unsupported = |kind, capability| {
        Err(Error::new(
            kind,
            format!("the agent's card does not declare the capability {capability}"),
        )
        .with("operation", method.as_str()))
    };
    match needs(method) {
        Needs::Streaming if capabilities.streaming != Some(true) => {
            unsupported(Kind::UnsupportedOperation, "streaming")
        }
        Needs::PushNotifications if capabilities.push_notifications != Some(true) => {
            unsupported(Kind::PushNotificationNotSupported, "pushNotifications")
        }
        Needs::ExtendedCard if capabilities.extended_agent_card != Some(true) => {
            unsupported(Kind::UnsupportedOperation, "extendedAgentCard")
        }
        _ => Ok(()),
    }
}

fn check_extensions(call: &CallContext, capabilities: &AgentCapabilities) -> Result<(), Error> {
    let mut required = capabilities
        .extensions
        .iter()
        .filter(|extension| extension.required);
    match required.find(|extension| !call.extensions.contains(&extension.uri)) {
        None => Ok(()),
        Some(missing) => Err(Error::new(
            Kind::ExtensionSupportRequired,
            format!(
                "the agent requires the extension {}; declare it in A2A-Extensions",
                missing.uri
            ),
        )
        .with("extension", &missing.uri)),
    }
}

//! What one caller may do, ready to be looked up.

use std::sync::Arc;

use super::{AdminMethod, Method, Names, Operations};

/// One permission: these operations at these agents, for these skills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The agents that may be called.
    pub agents: Names,
    /// The operations that may be used there.
    pub operations: Operations,
    /// The skills that may be asked for, by their ids in the agent's card.
    pub skills: Names,
}

/// Everything that a caller may do. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants(Option<Arc<[Grant]>>);

/// Which skills of an agent a caller may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skills {
    /// All of them, and it need not name one.
    All,
    /// Those that one of these names; a message has to say which one it is for.
    These(Vec<Names>),
}

impl Skills {
    /// Whether the skill of this id is one of them.
    pub fn contains(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.iter().any(|names| names.contains(id)),
        }
    }
}

impl Grants {
    /// All operations of the protocol at all agents.
    pub fn everything() -> Self {
        Self(None)
    }

    /// What these permissions allow together; nothing without any.
    pub fn of(grants: Vec<Grant>) -> Self {
        Self(Some(Arc::from(grants)))
    }

    /// Whether the caller may use an operation of an agent, for some skill at least.
    pub fn permit(&self, agent: &str, method: Method) -> bool {
        self.0
            .as_ref()
            .is_none_or(|grants| grants.iter().any(|grant| grant.permits(agent, method)))
    }

    /// Whether the caller may use an operation of operators on what belongs to an agent; `None` for all agents, those that
    /// are not hosted any more among them. Who may do everything may not: operators are named in a role.
    pub fn administer(&self, agent: Option<&str>, method: AdminMethod) -> bool {
        let covers = |names: &Names| match agent {
            Some(agent) => names.contains(agent),
            None => *names == Names::Any,
        };
        let grants = self.0.as_deref().unwrap_or_default();
        grants
            .iter()
            .any(|grant| grant.operations.contains_admin(method) && covers(&grant.agents))
    }

    /// Whether there is an agent at which the caller may use an operation of operators.
    pub fn administer_some(&self, method: AdminMethod) -> bool {
        let grants = self.0.as_deref().unwrap_or_default();
        grants.iter().any(|grant| grant.operations.contains_admin(method))
    }

    /// The skills for which the caller may use an operation of an agent.
    pub fn skills(&self, agent: &str, method: Method) -> Skills {
        let Some(grants) = &self.0 else {
            return Skills::All;
        };
        let mut some = Vec::new();
        for grant in grants.iter().filter(|grant| grant.permits(agent, method)) {
            match &grant.skills {
                Names::Any => return Skills::All,
                these => some.push(these.clone()),
            }
        }
        Skills::These(some)
    }
}

impl Grant {
    fn permits(&self, agent: &str, method: Method) -> bool {
        self.operations.contains(method) && self.agents.contains(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_have_a_role_for_it_and_the_agents_of_that_role() {
        let method = AdminMethod::DiscardDeliveries;
        let grant = |agents: &str, operations: &str| Grant {
            agents: Names::new(&[agents.to_owned()]),
            operations: Operations::named(operations).unwrap(),
            skills: Names::Any,
        };
        assert!(!Grants::everything().administer(Some("echo"), method));
        assert!(!Grants::of(vec![grant("*", "*")]).administer(Some("echo"), method));
        let some = Grants::of(vec![grant("billing-*", "push-admin"), grant("*", "GetDelivery")]);
        assert!(some.administer(Some("billing-eu"), method));
        assert!(!some.administer(Some("echo"), method));
        assert!(!some.administer(None, method));
        assert!(some.administer_some(method));
        assert!(!Grants::of(vec![grant("*", "GetDelivery")]).administer_some(method));
        assert!(!Grants::everything().administer_some(method));
        assert!(some.administer(None, AdminMethod::GetDelivery));
        assert!(!some.permit("billing-eu", Method::GetTask));
    }
}

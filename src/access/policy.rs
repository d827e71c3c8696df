//! The operator's rules, and what they make of one caller.

use std::sync::Arc;

use super::{Attributes, Caller, Credential, Grant, Grants, Names, Operations, Principal, Space, owner};

/// Who is in a role. Each kind of condition that is set has to fit; within one, a single entry that fits is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Callers by name.
    pub principals: Option<Names>,
    /// Callers with one of these scopes.
    pub scopes: Vec<String>,
    /// Callers with one of these claims, as (name, value).
    pub claims: Vec<(String, String)>,
}

impl Members {
    /// Whether this caller is one. A role without any condition has no members: whoever means everybody says so.
    fn contains(&self, identity: &Identity) -> bool {
        let by_name = self
            .principals
            .as_ref()
            .map(|names| names.contains(identity.principal.as_str()));
        let by_scope = (!self.scopes.is_empty()).then(|| {
            self.scopes
                .iter()
                .any(|scope| identity.scopes.iter().any(|has| **has == **scope))
        });
        let by_claim = (!self.claims.is_empty()).then(|| {
            self.claims.iter().any(|(name, value)| {
                identity
                    .attributes
                    .values(name)
                    .iter()
                    .any(|has| **has == **value)
            })
        });
        let conditions = [by_name, by_scope, by_claim];
        conditions.iter().any(Option::is_some) && conditions.iter().flatten().all(|fits| *fits)
    }
}

/// A role: who is in it, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Who is in the role.
    pub members: Members,
    /// What its members may do.
    pub grant: Grant,
}

/// A verified credential before the rules: who it is for, and everything that it says about its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the caller.
    pub principal: Principal,
    /// The organisation that the credential names.
    pub organisation: Option<Arc<str>>,
    /// Which credential it was.
    pub credential: Credential,
    /// Its scopes.
    pub scopes: Arc<[Arc<str>]>,
    /// Its claims, as far as the rules speak of them.
    pub attributes: Attributes,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// Why a verified credential is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Organisations are kept apart here, and the credential does not say which one it belongs to.
    #[error("the credential names no organisation, and one is required here")]
    NoOrganisation,
}

/// The rules of one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The roles; a caller may be in several, and may do what one of them allows.
    pub roles: Vec<Role>,
    /// The spaces in which callers share tasks; the first that fits counts.
    pub spaces: Vec<Space>,
    /// Whether a caller without any role may do everything; otherwise it may do nothing.
    pub allow_by_default: bool,
    /// Whether every caller has to belong to an organisation.
    pub organisation_required: bool,
}

impl Policy {
    /// The caller that a verified credential makes.
    ///
    /// # Errors
    /// [`Refusal`], when the rules keep such callers out altogether.
    pub fn caller(&self, identity: Identity) -> Result<Caller, Refusal> {
        if self.organisation_required && identity.organisation.is_none() {
            return Err(Refusal::NoOrganisation);
        }
        let grants = self.grants(&identity);
        let organisation = identity.organisation.as_deref();
        Ok(Caller {
            owner: owner::owner(
                &self.spaces,
                &identity.principal,
                organisation,
                &identity.attributes,
            ),
            principal: identity.principal,
            organisation: identity.organisation,
            credential: identity.credential,
            scopes: identity.scopes,
            expires_ms: identity.expires_ms,
            grants,
        })
    }

    /// The names of all claims that the rules speak of.
    pub fn claims(&self) -> Vec<&str> {
        let of_roles = self.roles.iter().flat_map(|role| &role.members.claims);
        let of_spaces = self.spaces.iter().filter_map(|space| space.claim.as_deref());
        let mut names: Vec<&str> = of_roles.map(|(name, _)| name.as_str()).chain(of_spaces).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn grants(&self, identity: &Identity) -> Grants {
        let grants: Vec<Grant> = self
            .roles
            .iter()
            .filter(|role| role.members.contains(identity))
            .map(|role| role.grant.clone())
            .collect();
        if grants.is_empty() && self.allow_by_default {
            return Grants::everything();
        }
        Grants::of(grants)
    }
}

impl Default for Policy {
    /// Nobody may do anything.
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            spaces: Vec::new(),
            allow_by_default: false,
            organisation_required: false,
        }
    }
}

impl Grant {
    /// All skills of all agents, for these operations.
    pub fn of(operations: Operations) -> Self {
        Self {
            agents: Names::Any,
            operations,
            skills: Names::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CredentialKind, Method, Skills};

    fn identity(name: &str, scopes: &[&str], groups: &[&str]) -> Identity {
        let mut attributes = Attributes::default();
        attributes.set("groups", groups.iter().map(|&group| group.into()));
        Identity {
            principal: Principal::verified(name),
            organisation: None,
            credential: Credential {
                kind: CredentialKind::Jwt,
                id: "t".into(),
                signer: None,
            },
            scopes: scopes.iter().map(|&scope| scope.into()).collect(),
            attributes,
            expires_ms: None,
        }
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn role(members: Members, agents: &[&str], operations: &str, skills: &[&str]) -> Role {
        let grant = Grant {
            agents: Names::new(&texts(agents)),
            operations: Operations::named(operations).unwrap(),
            skills: Names::new(&texts(skills)),
        };
        Role { members, grant }
    }

    fn policy() -> Policy {
        let by_scope = |scope: &str| Members {
            scopes: texts(&[scope]),
            ..Members::default()
        };
        let staff_of_example = Members {
            principals: Some(Names::new(&texts(&["jwt:https://idp.example.org#*"]))),
            claims: vec![("groups".into(), "staff".into())],
            ..Members::default()
        };
        Policy {
            roles: vec![
                role(by_scope("read"), &["echo"], "read", &["*"]),
                role(by_scope("send"), &["echo"], "send", &["a"]),
                role(staff_of_example, &["*"], "*", &["*"]),
                role(Members::default(), &["*"], "*", &["*"]),
            ],
            ..Policy::default()
        }
    }

    #[test]
    fn nobody_may_do_what_no_role_allows() {
        let caller = |identity| policy().caller(identity).unwrap();
        let nobody = caller(identity("key:a", &[], &["staff"]));
        assert!(Method::ALL.iter().all(|&m| !nobody.grants.permit("echo", m)));
        let reader = caller(identity("key:a", &["x", "read"], &[]));
        assert!(reader.grants.permit("echo", Method::GetTask));
        assert!(!reader.grants.permit("echo", Method::CancelTask));
        assert!(!reader.grants.permit("other", Method::GetTask));
        let staff = caller(identity("jwt:https://idp.example.org#a", &[], &["x", "staff"]));
        assert!(Method::ALL.iter().all(|&m| staff.grants.permit("other", m)));
        let elsewhere = caller(identity("jwt:https://idp.example.org.evil#a", &[], &["staff"]));
        assert!(!elsewhere.grants.permit("echo", Method::GetTask));
    }

    #[test]
    fn skills_add_up_and_all_of_them_is_all() {
        let grants = policy().caller(identity("key:a", &["send"], &[])).unwrap().grants;
        let skills = grants.skills("echo", Method::SendMessage);
        assert!(skills.contains("a") && !skills.contains("b") && skills != Skills::All);
        let both = Policy {
            roles: [
                policy().roles,
                vec![role(
                    Members {
                        scopes: texts(&["send"]),
                        ..Members::default()
                    },
                    &["*"],
                    "send",
                    &["*"],
                )],
            ]
            .concat(),
            ..Policy::default()
        };
        let grants = both.caller(identity("key:a", &["send"], &[])).unwrap().grants;
        assert_eq!(grants.skills("echo", Method::SendMessage), Skills::All);
    }

    #[test]
    fn who_names_no_organisation_stays_outside_where_one_is_needed() {
        let strict = Policy {
            organisation_required: true,
            ..policy()
        };
        assert_eq!(
            strict.caller(identity("key:a", &["read"], &[])),
            Err(Refusal::NoOrganisation)
        );
        let member = Identity {
            organisation: Some("acme".into()),
            ..identity("key:a", &["read"], &[])
        };
        assert_eq!(strict.caller(member).unwrap().owner.as_str(), "org:acme/key:a");
    }

    #[test]
    fn the_rules_say_which_claims_they_need() {
        assert_eq!(policy().claims(), ["groups"]);
    }
}

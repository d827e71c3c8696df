//! `[access]`: what callers may do.

use std::collections::BTreeMap;

use super::error::Problem;
use super::layers::dotted;
use super::schema::{choice, section};
use crate::access::{AdminMethod, Method, Operations};

choice! {
    /// What a caller may do whom no role fits.
    pub enum DefaultAccess {
        /// Nothing.
        Deny = "deny",
        /// Everything, with its own tasks.
        Allow = "allow",
    }
}

section! {
    /// A role: who is in it, and what they may do. Of principals, scopes and claims each that is set has to fit; one entry
    /// of each is enough.
    pub struct AccessRole {
        /// Callers by name, like "spiffe://example.org/billing", "jwt:" with issuer, `#` and subject, or "key:ci"; a `*` at
        /// the end stands for any rest, and alone for every caller with a credential.
        principals: Vec<String> = Vec::new();
        /// Scopes of the credential, whoever issued it; with several issuers, say in principals which one counts.
        scopes: Vec<String> = Vec::new();
        /// Claims of a token as name=value, like "groups=admins"; a claim within another is written with a dot.
        claims: Vec<String> = Vec::new();
        /// The agents that may be called; a `*` at the end stands for any rest.
        agents: Vec<String> = vec!["*".to_owned()];
        /// What may be done: "send", "read", "cancel", "push", "extended-card", names of single operations like "GetTask",
        /// or "*" for all of these. For operators there is "push-admin" (or single ones of "ListDeliveries", "GetDelivery",
        /// "RedeliverDeliveries", "DiscardDeliveries"), which is not in "*": what waits to be sent, of all owners in the
        /// caller's organisation (or, where its credential names none, of all), at these agents.
        operations: Vec<String> = Vec::new();
        /// The skills that messages may be for. Where not all may, a message has to name its skill in the metadata `skillId`.
        /// A task has no skill: what is done with it otherwise (reading, canceling, subscribing, push configurations) is
        /// allowed for all of the caller's tasks at these agents or for none.
        skills: Vec<String> = vec!["*".to_owned()];
    }
}

section! {
    /// Callers who share their tasks: each of them may do with all of them what its roles allow.
    pub struct AccessSpace {
        /// Callers by name, as in a role.
        principals: Vec<String> = vec!["*".to_owned()];
        /// The claim by whose value they are told apart, like "team": those with the same value from the same issuer share.
        /// Who has none or several is not in the space.
        claim: Option<String> = None;
    }
}

section! {
    /// What callers may do, as soon as they have to say who they are: nothing that no role allows.
    pub struct Access {
        /// What a caller may do whom no role fits: "deny", or "allow" for everything with its own tasks.
        default: DefaultAccess = DefaultAccess::Deny;
        /// Keeps callers out whose credential names no organisation. Whoever belongs to one never sees tasks of another.
        organisation_required: bool = false;
        /// Roles by name. A caller may do what one of its roles allows.
        roles: BTreeMap<String, AccessRole> = BTreeMap::new();
        /// Groups of callers who share their tasks, by name; the first in alphabetical order that fits counts.
        spaces: BTreeMap<String, AccessSpace> = BTreeMap::new();
    }
}

impl Access {
    /// What is missing or can't be meant; `is_authenticated` when callers have to say who they are.
    pub(super) fn problems(&self, is_authenticated: bool) -> Vec<Problem> {
        let mut found = Vec::new();
        if !is_authenticated {
            self.find_without_effect(&mut found);
        } else if self.roles.is_empty() && self.default == DefaultAccess::Deny {
            found.push(Problem::new(
                "access.roles",
                "is empty, so that no caller may do anything; add a role like [access.roles.everyone] with principals = \
                 [\"*\"] and operations = [\"send\", \"read\"], or let everybody in who has a credential with \
                 access.default = \"allow\"",
            ));
        }
        for (name, role) in &self.roles {
            let key = |field: &str| dotted(&["access", "roles", name, field].map(str::to_owned));
            role.check(&key, &mut found);
        }
        for (name, space) in &self.spaces {
            if space.claim.is_none() && space.principals == ["*"] {
                found.push(Problem::new(
                    dotted(&["access", "spaces", name].map(str::to_owned)),
                    "would make all callers share all tasks; name a claim or principals",
                ));
            }
        }
        found
    }

    fn find_without_effect(&self, found: &mut Vec<Problem>) {
        let keys = [
            ("access.roles", !self.roles.is_empty()),
            ("access.spaces", !self.spaces.is_empty()),
            ("access.default", self.default != DefaultAccess::default()),
            ("access.organisation_required", self.organisation_required),
        ];
        for (key, _) in keys.into_iter().filter(|(_, is_set)| *is_set) {
            found.push(Problem::new(
                key,
                "does nothing while nobody has to say who they are; set tls.client_ca_file, auth.issuers or \
                 auth.api_keys.enabled too",
            ));
        }
    }
}

impl AccessRole {
    fn check(&self, key: &dyn Fn(&str) -> String, found: &mut Vec<Problem>) {
        if self.principals.is_empty() && self.scopes.is_empty() && self.claims.is_empty() {
            found.push(Problem::new(
                key("principals"),
                "is empty, and so are scopes and claims: nobody is in this role; write [\"*\"] if you mean everybody",
            ));
        }
        if self.operations.is_empty() {
            found.push(Problem::new(
                key("operations"),
                "is empty: this role allows nothing; write some of \"send\", \"read\", \"cancel\", \"push\", \
                 \"extended-card\"",
            ));
        }
        for word in &self.operations {
            if Operations::named(word).is_none() {
                let groups = Operations::GROUPS.map(|(group, _)| group).join("\", \"");
                let first = Method::ALL[0].as_str();
                found.push(Problem::new(
                    key("operations"),
                    format!(
                        "`{word}` is no operation; write \"{groups}\", \"*\", \"{}\", or a name like \"{first}\"",
                        AdminMethod::GROUP
                    ),
                ));
            }
        }
        for claim in &self.claims {
            if claim.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
                found.push(Problem::new(
                    key("claims"),
                    format!("`{claim}` is not of the form name=value"),
                ));
            }
        }
    }
}

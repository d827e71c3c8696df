//! Whose tasks a caller works on.
//!
//! Every task has one owner, and nobody else sees it. That is the caller itself, unless a space says that it shares its
//! tasks with others. The organisation is a part of the owner, so that the same name in two of them is two owners.

use super::{Attributes, Names, Principal};

/// Callers who share their tasks. A caller is in it by name (`principals`), and by having one value of `claim`; those with
/// the same value of the same issuer share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The name of the space, a part of the owner.
    pub name: String,
    /// The callers who are in it.
    pub principals: Names,
    /// The claim whose value tells one group of them from the other; who does not have exactly one value is not in the
    /// space.
    pub claim: Option<String>,
}

impl Space {
    /// The owner of the tasks of this caller, if it is in the space; without its organisation.
    fn owner(&self, principal: &Principal, attributes: &Attributes) -> Option<String> {
        if !self.principals.contains(principal.as_str()) {
            return None;
        }
        let name = escaped(&self.name);
        match &self.claim {
            None => Some(format!("space:{name}")),
            Some(claim) => {
                let value = attributes.single(claim)?;
                // Another issuer's team of the same name is another team. No issuer has a `#` in its name.
                let issuer = principal
                    .as_str()
                    .split_once('#')
                    .map_or("", |(issuer, _)| issuer);
                Some(format!("space:{name}={}@{issuer}", escaped(value)))
            }
        }
    }
}

/// The owner of a caller's tasks: the first space that it is in, else itself.
pub(super) fn owner(
    spaces: &[Space],
    principal: &Principal,
    organisation: Option<&str>,
    attributes: &Attributes,
) -> Principal {
    let shared = spaces.iter().find_map(|space| space.owner(principal, attributes));
    match (organisation, shared) {
        (None, None) => principal.clone(),
        (None, Some(shared)) => Principal::verified(&shared),
        (Some(organisation), shared) => {
            let whose = shared.as_deref().unwrap_or(principal.as_str());
            Principal::verified(&format!("{}{whose}", owners_of(organisation)))
        }
    }
}

/// How the owners of all tasks of an organisation begin, and no other's.
pub fn owners_of(organisation: &str) -> String {
    format!("org:{}/", escaped(organisation))
}

/// Text in which the characters that owners are put together with do not occur, so that no two are written the same.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => out.push_str("%25"),
            '/' => out.push_str("%2F"),
            '=' => out.push_str("%3D"),
            '@' => out.push_str("%40"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &str) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.set("team", name.split(' ').map(Into::into));
        attributes
    }

    fn spaces() -> Vec<Space> {
        vec![
            Space {
                name: "robots".into(),
                principals: Names::new(&["spiffe://example.org/robots/*".into()]),
                claim: None,
            },
            Space {
                name: "team".into(),
                principals: Names::Any,
                claim: Some("team".into()),
            },
        ]
    }

    fn owner_of(name: &str, organisation: Option<&str>, attributes: &Attributes) -> String {
        let principal = Principal::verified(name);
        owner(&spaces(), &principal, organisation, attributes)
            .as_str()
            .to_owned()
    }

    #[test]
    fn a_caller_owns_its_tasks_unless_a_space_does() {
        let none = Attributes::default();
        assert_eq!(owner_of("key:a", None, &none), "key:a");
        assert_eq!(owner_of("key:a", Some("acme"), &none), "org:acme/key:a");
        assert_eq!(
            owner_of("jwt:https://a#ada", None, &team("red")),
            "space:team=red@jwt:https://a"
        );
        assert_eq!(
            owner_of("jwt:https://a#bob", Some("acme"), &team("red")),
            "org:acme/space:team=red@jwt:https://a"
        );
        assert_eq!(
            owner_of("jwt:https://b#ada", None, &team("red")),
            "space:team=red@jwt:https://b",
            "another issuer"
        );
        assert_eq!(
            owner_of("spiffe://example.org/robots/1", None, &team("red")),
            "space:robots"
        );
        assert_eq!(owner_of("key:a", None, &team("red blue")), "key:a", "two teams");
    }

    #[test]
    fn no_two_callers_are_one_owner() {
        let mut owners = std::collections::HashSet::new();
        for organisation in [None, Some("a"), Some("a/b"), Some("a%2Fb"), Some("a%252Fb")] {
            for value in ["x", "x=y", "x%3Dy", "b/x", "x@y", "x@", "x%40"] {
                assert!(owners.insert(owner_of("key:a", organisation, &team(value))));
            }
        }
    }
}

//! Names that a rule is about: all of them, or a list in which an entry may end in `*`.

use std::sync::Arc;

/// A set of names as an operator writes it. An entry is a whole name, or the beginning of one followed by `*`; a `*`
/// elsewhere means itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Every name.
    Any,
    /// The names that one of these entries fits.
    These(Arc<[String]>),
}

impl Names {
    /// The names that `entries` describe; none when there are no entries.
    pub fn new(entries: &[String]) -> Self {
        if entries.iter().any(|entry| entry == "*") {
            Self::Any
        } else {
            Self::These(Arc::from(entries))
        }
    }

    /// Whether `name` is one of them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(entries) => entries.iter().any(|entry| match entry.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == entry,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[&str]) -> Names {
        Names::new(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_at_the_end_and_for_any_rest() {
        let some = names(&["echo", "billing-*", "a*b"]);
        for (name, is_in) in [
            ("echo", true),
            ("echo2", false),
            ("Echo", false),
            ("billing-", true),
            ("billing-eu", true),
            ("billing", false),
            ("a*b", true),
            ("axb", false),
            ("", false),
        ] {
            assert_eq!(some.contains(name), is_in, "{name}");
        }
        assert!(names(&["x", "*"]).contains("anything"));
        assert!(!names(&[]).contains(""));
    }
}

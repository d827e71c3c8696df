//! Finds what a person meant by a key that doesn't exist.

use super::schema::{Field, Shape};

/// The path of the key that is most like `wrong` among its siblings, or the same name in another section.
///
/// `parent` is the path of the table in which `wrong` was found and `siblings` the keys that it may hold.
pub(super) fn nearest(
    root: &'static [Field],
    parent: &[String],
    siblings: &'static [Field],
    wrong: &str,
) -> Option<Vec<String>> {
    if let Some(name) = most_like(siblings, wrong) {
        return Some(extend(parent, name));
    }
    // A key at the wrong level is the commonest slip after a misspelling: `listen` without its `[server]`.
    root.iter().find_map(|section| match section.shape {
        Shape::Section(fields) => {
            let field = fields.iter().find(|field| field.name == wrong)?;
            Some(vec![section.name.to_owned(), field.name.to_owned()])
        }
        _ if section.name == wrong => Some(vec![section.name.to_owned()]),
        _ => None,
    })
}

fn most_like(fields: &'static [Field], wrong: &str) -> Option<&'static str> {
    let wrong = wrong.to_ascii_lowercase().replace('-', "_");
    let distance_max = (wrong.chars().count() / 3).max(1);
    fields
        .iter()
        .map(|field| (strsim::damerau_levenshtein(field.name, &wrong), field.name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
        .or_else(|| without_unit(fields, &wrong))
}

/// `keepalive_interval` for `keepalive_interval_ms`: the unit or the `_max` was left out.
fn without_unit(fields: &'static [Field], wrong: &str) -> Option<&'static str> {
    let starts = format!("{wrong}_");
    let mut longer = fields.iter().filter(|field| field.name.starts_with(&starts));
    match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only.name),
        _ => None,
    }
}

fn extend(parent: &[String], name: &str) -> Vec<String> {
    let mut path = parent.to_vec();
    path.push(name.to_owned());
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits, Server};

    fn near(parent: &[&str], siblings: &'static [Field], wrong: &str) -> Option<String> {
        let parent: Vec<String> = parent.iter().map(|&name| name.to_owned()).collect();
        nearest(Config::FIELDS, &parent, siblings, wrong).map(|path| path.join("."))
    }

    #[test]
    fn finds_misspelt_misplaced_and_shortened_keys() {
        let expect = |found: Option<String>, right: &str| assert_eq!(found.as_deref(), Some(right));
        expect(near(&["server"], Server::FIELDS, "lissten"), "server.listen");
        expect(
            near(&["server"], Server::FIELDS, "Allow-Plaintext"),
            "server.allow_plaintext",
        );
        expect(
            near(&["server"], Server::FIELDS, "keepalive_interval"),
            "server.keepalive_interval_ms",
        );
        expect(near(&[], Config::FIELDS, "listen"), "server.listen");
        expect(
            near(&["server"], Server::FIELDS, "page_size_max"),
            "limits.page_size_max",
        );
        expect(near(&["limits"], Limits::FIELDS, "agents"), "agents");
        expect(near(&[], Config::FIELDS, "servre"), "server");
    }

    #[test]
    fn says_nothing_where_nothing_is_near() {
        assert_eq!(near(&["server"], Server::FIELDS, "colour"), None);
        assert_eq!(near(&[], Config::FIELDS, "x"), None);
    }
}

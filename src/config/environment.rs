//! Variables: `A2AD__SERVER__LISTEN` sets `server.listen`. Two underscores go down a level, case doesn't matter.

use toml::{Table, Value};

use super::Config;
use super::schema::{Shape, shape_at};

const PREFIX: &str = "A2AD__";

/// True for a variable that is meant for this configuration.
pub(super) fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The path of the key that a variable sets.
///
/// The names of agents are the user's own: one that `tree` has already is met whatever its case, and with `_` for the
/// `-` that no shell allows in a variable.
pub(super) fn path_of(name: &str, tree: &Table) -> Vec<String> {
    let mut path: Vec<String> = name[PREFIX.len()..]
        .split("__")
        .map(str::to_ascii_lowercase)
        .collect();
    if let [section, agent, ..] = path.as_mut_slice()
        && let Some(Value::Table(known)) = tree.get(section.as_str())
        && matches!(
            shape_at(Config::FIELDS, std::slice::from_ref(section)),
            Some(Shape::Named(_))
        )
        && let Some(same) = known.keys().find(|key| same_name(key, agent))
    {
        *agent = same.clone();
    }
    path
}

fn same_name(key: &str, name: &str) -> bool {
    key.to_ascii_lowercase().replace('-', "_") == name.replace('-', "_")
}

/// The variable that sets `path`.
pub(super) fn variable_name(path: &[String]) -> String {
    format!("{PREFIX}{}", path.join("__").to_ascii_uppercase())
}

/// Reads `text` as the key at `path` wants it: as it is where that is a text, else as a piece of TOML.
///
/// An unknown key and text that is not TOML stay text: the check that follows refuses them by name.
pub(super) fn value_of(path: &[String], text: &str) -> Value {
    match shape_at(Config::FIELDS, path) {
        Some(shape) if !shape.is_text() => text.trim().parse().unwrap_or_else(|_| Value::from(text)),
        _ => Value::from(text),
    }
}

/// The smallest tree that has `value` at `path`.
pub(super) fn nest(path: &[String], value: Value) -> Table {
    let mut table = Table::new();
    if let Some((first, rest)) = path.split_first() {
        let inner = if rest.is_empty() {
            value
        } else {
            Value::Table(nest(rest, value))
        };
        table.insert(first.clone(), inner);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn names_lead_to_paths_and_back() {
        assert!(is_ours("A2AD__SERVER__LISTEN") && is_ours("a2ad__server__listen"));
        assert!(!is_ours("A2AD_CONFIG") && !is_ours("PATH") && !is_ours("äöüäöü"));
        assert_eq!(
            path_of("A2AD__Server__Listen", &Table::new()),
            path("server.listen")
        );
        assert_eq!(variable_name(&path("server.listen")), "A2AD__SERVER__LISTEN");
    }

    #[test]
    fn a_known_agent_is_met_whatever_its_case() {
        let tree: Table = toml::from_str("[agents.My-Agent]\n[agents.echo]").expect("parses");
        assert_eq!(
            path_of("A2AD__AGENTS__MY_AGENT__TITLE", &tree),
            path("agents.My-Agent.title")
        );
        assert_eq!(
            path_of("A2AD__AGENTS__ECHO__TITLE", &tree),
            path("agents.echo.title")
        );
        assert_eq!(
            path_of("A2AD__AGENTS__NEW_ONE__TITLE", &tree),
            path("agents.new_one.title")
        );
    }

    #[test]
    fn text_is_read_as_its_key_wants_it() {
        assert_eq!(value_of(&path("log.filter"), "true"), Value::from("true"));
        assert_eq!(value_of(&path("agents.echo.version"), "1.0"), Value::from("1.0"));
        assert_eq!(
            value_of(&path("server.allow_plaintext"), " true "),
            Value::from(true)
        );
        assert_eq!(value_of(&path("limits.depth_max"), "1_0"), Value::from(10));
        assert_eq!(
            value_of(&path("server.cors_origins"), "['*']"),
            Value::from(vec!["*"])
        );
        assert_eq!(
            value_of(&path("limits.depth_max"), "1\nparts_max = 2"),
            Value::from("1\nparts_max = 2")
        );
    }
}

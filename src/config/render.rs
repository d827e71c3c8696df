//! Shows a configuration as TOML: the effective one with the origin of its values, and the defaults with their
//! documentation. Both load again.

use std::fmt::Write;

use toml::{Table, Value};

use super::Config;
use super::layers::{dotted, quoted};
use super::loader::Loaded;
use super::schema::{Field, Shape};

impl Loaded {
    /// The effective configuration as TOML, secrets masked, with the source of every value that is not a default
    /// as a comment at its end. This is what `config check` prints.
    pub fn to_toml_annotated(&self) -> String {
        let origin = |path: &[String]| {
            self.sources
                .get(&dotted(path))
                .map(|source| printable(&source.to_string()))
        };
        let mut page = Page {
            text: String::new(),
            origin: &origin,
            with_docs: false,
        };
        page.section(&mut Vec::new(), Config::FIELDS, &tree_of(&self.config));
        page.text
    }
}

/// Every key with its documentation, default and bounds, as a TOML file to start from.
pub fn reference() -> String {
    let mut page = Page {
        text: String::new(),
        origin: &|_| None,
        with_docs: true,
    };
    page.section(&mut Vec::new(), Config::FIELDS, &tree_of(&Config::default()));
    page.text
}

/// The configuration as a tree; a number beyond TOML's, which validation refuses, leaves it empty.
fn tree_of(config: &Config) -> Table {
    Table::try_from(config).unwrap_or_default()
}

/// A comment ends with its line, whatever a file name holds.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

struct Page<'a> {
    text: String,
    origin: &'a dyn Fn(&[String]) -> Option<String>,
    with_docs: bool,
}

impl Page<'_> {
    /// Plain keys first, tables after them: TOML would take a key below a header as part of that table.
    fn section(&mut self, path: &mut Vec<String>, fields: &'static [Field], table: &Table) {
        let is_table = |field: &&Field| matches!(field.shape, Shape::Section(_) | Shape::Named(_));
        for field in fields.iter().filter(|field| !is_table(field)) {
            path.push(field.name.to_owned());
            self.docs(field);
            self.line(path, field, table.get(field.name));
            path.pop();
        }
        for field in fields.iter().filter(is_table) {
            path.push(field.name.to_owned());
            self.table(path, field, table.get(field.name));
            path.pop();
        }
    }

    fn table(&mut self, path: &mut Vec<String>, field: &Field, value: Option<&Value>) {
        match (field.shape, value) {
            (Shape::Section(fields), Some(Value::Table(table))) => {
                self.header(path, field);
                self.section(path, fields, table);
            }
            (Shape::Named(fields), Some(Value::Table(named))) => {
                for (name, value) in named {
                    path.push(name.clone());
                    self.table(
                        path,
                        &Field {
                            shape: Shape::Section(fields),
                            ..*field
                        },
                        Some(value),
                    );
                    path.pop();
                }
                if self.with_docs {
                    self.example(path, field, fields);
                }
            }
            _ => {}
        }
    }

    /// A table that is absent by default is shown as comments, with NAME where the user chooses.
    fn example(&mut self, path: &[String], field: &Field, fields: &'static [Field]) {
        self.text.push('\n');
        self.docs(field);
        let _ = writeln!(self.text, "# [{}.NAME]", dotted(path));
        for field in fields {
            self.docs(field);
            let _ = match field.shape {
                Shape::Section(inner) => {
                    let names: Vec<String> = inner
                        .iter()
                        .map(|field| format!("{} = \"...\"", field.name))
                        .collect();
                    writeln!(self.text, "# {} = {{ {} }}", field.name, names.join(", "))
                }
                shape => writeln!(self.text, "# {} = {}", field.name, sample(shape)),
            };
        }
    }

    fn header(&mut self, path: &[String], field: &Field) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.docs(field);
        let _ = writeln!(self.text, "[{}]", dotted(path));
    }

    fn docs(&mut self, field: &Field) {
        if !self.with_docs {
            return;
        }
        for line in field.doc {
            let _ = writeln!(self.text, "#{line}");
        }
        if let Shape::Integer { min, max } = field.shape {
            let _ = writeln!(self.text, "# Allowed: {min} to {max}.");
        }
    }

    fn line(&mut self, path: &[String], field: &Field, value: Option<&Value>) {
        let key = quoted(field.name);
        let _ = match (value, (self.origin)(path)) {
            (None, _) if self.with_docs => writeln!(self.text, "# {key} = {}", sample(field.shape)),
            (None, _) => writeln!(self.text, "# {key} is not set"),
            (Some(value), Some(origin)) => writeln!(self.text, "{key} = {value}  # from {origin}"),
            (Some(value), None) => writeln!(self.text, "{key} = {value}"),
        };
    }
}

/// A placeholder for a key that has no default.
fn sample(shape: Shape) -> String {
    match shape {
        Shape::Boolean => "true".to_owned(),
        Shape::Integer { min, .. } => min.to_string(),
        Shape::Choice(words) => format!("\"{}\"", words.join("\" or \"")),
        Shape::TextList => "[\"...\"]".to_owned(),
        _ => "\"...\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loader, Secret};

    #[test]
    fn the_reference_is_the_default_configuration() {
        let parsed: Config = toml::from_str(&reference()).expect("valid TOML");
        assert_eq!(parsed, Config::default());
        for key in [
            "page_token_key",
            "[agents.NAME]",
            "organization",
            "Allowed: 1 to 24",
        ] {
            assert!(reference().contains(key), "{key}");
        }
    }

    #[test]
    fn odd_names_stay_valid_toml() {
        let mut loaded = Loader::new().load().expect("defaults are valid");
        loaded
            .config
            .agents
            .insert("a.b \"c\"\n".to_owned(), Default::default());
        loaded.config.server.page_token_key = Some(Secret::new("hunter2".to_owned()));
        loaded.sources.insert(
            "server.listen".to_owned(),
            crate::config::Source::File("a\nb = 1".into()),
        );
        let text = loaded.to_toml_annotated();
        let parsed: Config = toml::from_str(&text).expect("valid TOML");
        assert_eq!(parsed.agents, loaded.config.agents);
        assert!(
            text.contains("page_token_key = \"***\"") && !text.contains("hunter2"),
            "{text}"
        );
    }
}

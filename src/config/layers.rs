//! Lays one source over another: every value is checked against the schema on the way in, so that an error can name
//! the source, and the origin of each key is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::{Table, Value};

use super::Config;
use super::environment::variable_name;
use super::error::Problem;
use super::loader::Source;
use super::nearest::nearest;
use super::schema::{Field, Shape};

/// What all sources said so far.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The values that were good, as one tree.
    pub(super) tree: Table,
    /// Where each key came from, by its dotted path.
    pub(super) sources: BTreeMap<String, Source>,
    /// What was refused.
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// Lays `table` over what is there; `None` for values made in code.
    pub(super) fn add(&mut self, source: Option<&Source>, table: Table) {
        self.add_section(source, &mut Vec::new(), Config::FIELDS, table);
    }

    /// Adds a problem of one source.
    pub(super) fn refuse(&mut self, source: Option<&Source>, path: &[String], message: String) {
        self.problems.push(Problem {
            key: dotted(path),
            message,
            source: source.cloned(),
        });
    }

    fn add_section(
        &mut self,
        source: Option<&Source>,
        path: &mut Vec<String>,
        fields: &'static [Field],
        table: Table,
    ) {
        for (key, value) in table {
            match fields.iter().find(|field| field.name == key) {
                Some(field) => {
                    path.push(key);
                    self.add_value(source, path, field.shape, value);
                    path.pop();
                }
                None => self.refuse_unknown(source, path, fields, key),
            }
        }
    }

    fn add_value(&mut self, source: Option<&Source>, path: &mut Vec<String>, shape: Shape, value: Value) {
        match (shape, value) {
            (Shape::Section(fields), Value::Table(table)) => self.add_section(source, path, fields, table),
            (Shape::Named(fields), Value::Table(table)) => {
                for (name, value) in table {
                    path.push(name);
                    self.add_named(source, path, fields, value);
                    path.pop();
                }
            }
            (shape, value) => match check(shape, &value) {
                Ok(()) => self.put(source, path, value),
                Err(message) => self.refuse(source, path, message),
            },
        }
    }

    /// A name counts even when nothing is said about it: `[agents.echo]` alone is an agent.
    fn add_named(
        &mut self,
        source: Option<&Source>,
        path: &mut Vec<String>,
        fields: &'static [Field],
        value: Value,
    ) {
        if matches!(&value, Value::Table(table) if table.is_empty()) {
            table_at(&mut self.tree, path);
        }
        self.add_value(source, path, Shape::Section(fields), value);
    }

    fn put(&mut self, source: Option<&Source>, path: &[String], value: Value) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        if let Some(source) = source {
            let before = self.sources.insert(dotted(path), source.clone());
            if let (Some(Source::Variable(other)), Source::Variable(_)) = (&before, source) {
                let message = format!("is set by {other} as well; keep one of the two");
                self.refuse(Some(source), path, message);
            }
        }
        if let Some(table) = table_at(&mut self.tree, parents) {
            table.insert(last.clone(), value);
        }
    }

    fn refuse_unknown(
        &mut self,
        source: Option<&Source>,
        path: &mut Vec<String>,
        fields: &'static [Field],
        key: String,
    ) {
        let near = nearest(Config::FIELDS, path, fields, &key);
        let hint = match (near, source) {
            (Some(near), Some(Source::Variable(_))) => format!("did you mean {}?", variable_name(&near)),
            (Some(near), _) => format!("did you mean `{}`?", dotted(&near)),
            (None, _) => format!("there are {}", names(fields)),
        };
        path.push(key);
        self.refuse(source, path, format!("unknown key; {hint}"));
        path.pop();
    }
}

/// The table at `path`, made where it is missing; `None` when a value stands in the way.
fn table_at<'a>(tree: &'a mut Table, path: &[String]) -> Option<&'a mut Table> {
    let Some((first, rest)) = path.split_first() else {
        return Some(tree);
    };
    match tree
        .entry(first.as_str())
        .or_insert_with(|| Value::Table(Table::new()))
    {
        Value::Table(inner) => table_at(inner, rest),
        _ => None,
    }
}

fn check(shape: Shape, value: &Value) -> Result<(), String> {
    let is_good = match (shape, value) {
        (Shape::Boolean, Value::Boolean(_)) | (Shape::Text | Shape::Secret, Value::String(_)) => true,
        (Shape::Integer { min, max }, Value::Integer(number)) => {
            return match u64::try_from(*number) {
                Ok(inside) if (min..=max).contains(&inside) => Ok(()),
                _ => Err(format!("{number} is out of range; expected {}", shape.expected())),
            };
        }
        (Shape::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
        (Shape::Choice(words), Value::String(text)) => words.contains(&text.as_str()),
        (Shape::TextList, Value::Array(items)) => items.iter().all(Value::is_str),
        _ => false,
    };
    // The value itself is not repeated: it may be a secret that was put under the wrong key.
    match (is_good, shape, value) {
        (true, ..) => Ok(()),
        (_, Shape::Choice(_) | Shape::Address, Value::String(_)) => {
            Err(format!("no such value; expected {}", shape.expected()))
        }
        (_, Shape::TextList, Value::Array(_)) => {
            Err(format!("holds other than strings; expected {}", shape.expected()))
        }
        _ => Err(format!(
            "is of type {}; expected {}",
            value.type_str(),
            shape.expected()
        )),
    }
}

fn names(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    names.join(", ")
}

/// A path as it is written in a file, with quotes where a name needs them.
pub(super) fn dotted(path: &[String]) -> String {
    let parts: Vec<String> = path.iter().map(|part| quoted(part)).collect();
    parts.join(".")
}

/// One key as it is written in a file.
pub(super) fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        return key.to_owned();
    }
    // JSON's escapes are a subset of those of a TOML basic string.
    serde_json::Value::from(key).to_string()
}

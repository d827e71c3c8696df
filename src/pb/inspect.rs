//! What must hold of a message before it goes any further, whichever binding it came by.
//!
//! One walk over the message looks for required fields that are missing (specification section 5.7), for values that
//! one encoding can carry and another cannot, and for sizes beyond the limits. A good message costs no allocation: the
//! path to where the walk stands is a chain on the stack, and becomes text only for a violation.

mod values;
mod wire;

use std::collections::BTreeMap;
use std::fmt;

use prost_types::value::Kind;
use prost_types::{Struct, Timestamp, Value};

use super::Part;
use super::codec::{Names, timestamp_in_range};
use crate::error::Violation;

pub use values::inspect_json;
pub use wire::{Shape, Shaped, inspect_wire};

/// How many violations one inspection reports; it stops there.
pub const VIOLATIONS_MAX: usize = 16;

/// The sizes that a message may not exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectLimits {
    /// Objects and arrays inside one another in metadata and in data parts. Above 31 such a value could be stored and
    /// never be read again, because prost refuses deeper messages.
    pub depth_max: usize,
    /// Array elements and entries of objects and maps, in all.
    pub nodes_max: usize,
    /// Parts of one message or one artifact.
    pub parts_max: usize,
}

impl Default for InspectLimits {
    fn default() -> Self {
        Self {
            depth_max: 24,
            nodes_max: 100_000,
            parts_max: 1_024,
        }
    }
}

impl InspectLimits {
    fn too_many_nodes(&self) -> String {
        format!("the message holds more than {} values", self.nodes_max)
    }
}

/// Inspects a message.
///
/// # Errors
/// Every violation found, [`VIOLATIONS_MAX`] at most, each with its path in JSON names.
pub fn inspect<M: Inspect>(message: &M, limits: &InspectLimits) -> Result<(), Vec<Violation>> {
    let mut inspector = Inspector {
        limits,
        nodes: 0,
        done: false,
        violations: Vec::new(),
    };
    message.inspect(&mut inspector, &Path::ROOT);
    if inspector.violations.is_empty() {
        Ok(())
    } else {
        Err(inspector.violations)
    }
}

/// A message that can be inspected; generated for all of them.
pub trait Inspect {
    /// Inspects the message, which stands at this path.
    fn inspect(&self, inspector: &mut Inspector<'_>, at: &Path<'_>);
}

/// The place of a value, as a chain back to the root.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

impl Path<'_> {
    const ROOT: Path<'static> = Path {
        parent: None,
        segment: Segment::Root,
    };

    pub(super) fn field(&self, name: &'static str) -> Path<'_> {
        Path {
            parent: Some(self),
            segment: Segment::Field(name),
        }
    }

    fn index(&self, index: usize) -> Path<'_> {
        Path {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEY_CHARS_MAX: usize = 40;
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        let dot = if parent.parent.is_some() { "." } else { "" };
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) => write!(f, "{dot}{name}"),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) if is_plain(key) && key.len() <= KEY_CHARS_MAX => write!(f, "{dot}{key}"),
            Segment::Key(key) => {
                let start: String = key.chars().take(KEY_CHARS_MAX).collect();
                write!(f, "[{start:?}]")
            }
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The state of one inspection, and the rules.
pub struct Inspector<'l> {
    limits: &'l InspectLimits,
    nodes: usize,
    done: bool,
    violations: Vec<Violation>,
}

impl Inspector<'_> {
    fn report(&mut self, at: &Path<'_>, description: impl Into<String>) {
        if !self.done {
            self.violations.push(Violation {
                field: at.to_string(),
                description: description.into(),
            });
            self.done = self.violations.len() >= VIOLATIONS_MAX;
        }
    }

    /// Counts a node; false when the walk is over.
    fn enter(&mut self, at: &Path<'_>) -> bool {
        self.nodes += 1;
        if self.nodes > self.limits.nodes_max && !self.done {
            self.report(at, self.limits.too_many_nodes());
            self.done = true;
        }
        !self.done
    }

    pub(super) fn missing(&mut self, at: &Path<'_>) {
        self.report(at, "is required");
    }

    pub(super) fn content(&mut self, present: bool, at: &Path<'_>) {
        if !present {
            self.report(at, "has no content: one of text, raw, url or data is required");
        }
    }

    pub(super) fn text(&mut self, text: &str, at: &Path<'_>) {
        if text.as_bytes().contains(&0) {
            self.report(
                at,
                "contains the character U+0000, which not every database can store",
            );
        }
    }

    pub(super) fn number<N: Names>(&mut self, number: i32, at: &Path<'_>) {
        if N::name(number).is_none() {
            self.report(at, format!("{number} is not a {}", N::TYPE));
        }
    }

    pub(super) fn timestamp(&mut self, timestamp: &Timestamp, at: &Path<'_>) {
        if !timestamp_in_range(timestamp) {
            self.report(
                at,
                "is outside of the years 0001 to 9999, or its nanoseconds are not 0 to 999999999",
            );
        }
    }

    pub(super) fn parts(&mut self, parts: &[Part], at: &Path<'_>) {
        if parts.len() > self.limits.parts_max {
            self.report(
                at,
                format!(
                    "has {} parts; at most {} are allowed",
                    parts.len(),
                    self.limits.parts_max
                ),
            );
            return;
        }
        self.list(parts, at, |inspector, part, at| part.inspect(inspector, at));
    }

    pub(super) fn list<T>(&mut self, items: &[T], at: &Path<'_>, check: impl Fn(&mut Self, &T, &Path<'_>)) {
        for (index, item) in items.iter().enumerate() {
            let at = &at.index(index);
            if !self.enter(at) {
                return;
            }
            check(self, item, at);
        }
    }

    pub(super) fn table<T>(
        &mut self,
        entries: &BTreeMap<String, T>,
        at: &Path<'_>,
        check: impl Fn(&mut Self, &T, &Path<'_>),
    ) {
        for (key, value) in entries {
            let at = &at.key(key);
            if !self.enter(at) {
                return;
            }
            self.text(key, at);
            check(self, value, at);
        }
    }

    /// An object inside `depth` - 1 others.
    pub(super) fn object(&mut self, object: &Struct, depth: usize, at: &Path<'_>) {
        if self.is_within(depth, at) {
            self.table(&object.fields, at, |inspector, value, at| {
                inspector.value(value, depth, at)
            });
        }
    }

    /// A value inside `depth` objects and arrays.
    pub(super) fn value(&mut self, value: &Value, depth: usize, at: &Path<'_>) {
        match &value.kind {
            None => self.report(at, "has no kind; null has to be said"),
            Some(Kind::NumberValue(number)) if !number.is_finite() => {
                self.report(at, "is not a finite number, which JSON cannot carry");
            }
            Some(Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_)) => {}
            Some(Kind::StringValue(text)) => self.text(text, at),
            Some(Kind::StructValue(object)) => self.object(object, depth + 1, at),
            Some(Kind::ListValue(list)) => {
                if self.is_within(depth + 1, at) {
                    self.list(&list.values, at, |inspector, value, at| {
                        inspector.value(value, depth + 1, at)
                    });
                }
            }
        }
    }

    fn is_within(&mut self, depth: usize, at: &Path<'_>) -> bool {
        let within = depth <= self.limits.depth_max;
        if !within {
            self.report(at, format!("is nested more than {} deep", self.limits.depth_max));
        }
        within
    }
}

#[cfg(test)]
mod tests;

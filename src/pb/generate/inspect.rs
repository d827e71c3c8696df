//! Prints `Inspect` for every message; the rules themselves are methods of `pb::inspect::Inspector`.

use super::model::{Field, Holds, Message, Package, Shape};

pub fn print(package: &Package) -> String {
    package.messages.iter().map(message).collect()
}

fn message(message: &Message) -> String {
    let content = message
        .content
        .iter()
        .map(|oneof| format!("inspector.content(self.{oneof}.is_some(), at);\n"));
    let fields = message.fields.iter().map(|one| field(one, message.lenient));
    let body: String = content.chain(fields).collect();
    format!(
        "impl Inspect for {} {{
            fn inspect(&self, inspector: &mut Inspector<'_>, at: &Path<'_>) {{
                {body}
            }}
        }}\n",
        message.rust
    )
}

impl Holds {
    /// The call that checks one value, given an expression for a reference to it; none if any value will do.
    fn check(&self, reference: &str, at: &str) -> Option<String> {
        match self {
            Self::Bytes | Self::Bool | Self::Int32 => None,
            Self::String => Some(format!("inspector.text({reference}, {at})")),
            Self::Enum(name) => Some(format!("inspector.number::<{name}>(*{reference}, {at})")),
            Self::Struct => Some(format!("inspector.object({reference}, 1, {at})")),
            Self::Value => Some(format!("inspector.value({reference}, 0, {at})")),
            Self::Timestamp => Some(format!("inspector.timestamp({reference}, {at})")),
            Self::Message(_) => Some(format!("Inspect::inspect({reference}, inspector, {at})")),
        }
    }
}

fn field(field: &Field, lenient: bool) -> String {
    let place = format!("self.{}", field.rust);
    let at = format!("&at.field({:?})", field.json);
    presence(field, lenient, &place, &at) + &content(field, &place, &at)
}

/// The check that a required field is there.
fn presence(field: &Field, lenient: bool, place: &str, at: &str) -> String {
    let missing = match (&field.shape, &field.holds) {
        (Shape::Optional, _) => format!("{place}.is_none()"),
        (Shape::Plain, Holds::Enum(_)) => format!("{place} == 0"),
        (Shape::Plain, Holds::String) | (Shape::List, _) if !lenient => format!("{place}.is_empty()"),
        _ => return String::new(),
    };
    if field.required {
        format!("if {missing} {{ inspector.missing({at}); }}\n")
    } else {
        String::new()
    }
}

/// The checks of what is in the field.
fn content(field: &Field, place: &str, at: &str) -> String {
    let each = |name: &str, at: &str| field.holds.check(name, at);
    match (&field.shape, &field.holds) {
        (Shape::List, Holds::Message(name)) if name == "Part" => {
            format!("inspector.parts(&{place}, {at});\n")
        }
        (Shape::List, _) => each("value", "at").map_or_else(String::new, |check| {
            format!("inspector.list(&{place}, {at}, |inspector, value, at| {check});\n")
        }),
        (Shape::Map, _) => each("value", "at").map_or_else(String::new, |check| {
            format!("inspector.table(&{place}, {at}, |inspector, value, at| {check});\n")
        }),
        (Shape::Optional, _) => each("value", at).map_or_else(String::new, |check| {
            format!("if let Some(value) = &{place} {{ {check}; }}\n")
        }),
        (Shape::Plain, _) => {
            each(&format!("&{place}"), at).map_or_else(String::new, |check| format!("{check};\n"))
        }
        (Shape::Member { oneof, variant }, _) => each("value", at).map_or_else(String::new, |check| {
            format!("if let Some({variant}(value)) = &self.{oneof} {{ {check}; }}\n")
        }),
    }
}

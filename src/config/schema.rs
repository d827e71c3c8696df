//! The shape of every setting, known at run time: one declaration makes the struct, its default, its documentation
//! and the row by which files, variables and flags are checked. Whatever is said twice drifts apart.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::access::{AccessRole, AccessSpace};
use super::agent::AgentConfig;
use super::auth::Issuer;
use super::quotas::Quota;
use super::secret::{DatabaseUrl, Secret};
use super::tls::TrustDomain;

/// 1 MiB in bytes.
pub(super) const MIB: usize = 1024 * 1024;

/// One day in milliseconds: the upper bound of every duration that nobody needs longer.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds, both allowed.
    Integer {
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// Any text, file names among it.
    Text,
    /// An IP address and a port.
    Address,
    /// Text that is never printed.
    Secret,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    TextList,
    /// A table with these keys.
    Section(&'static [Field]),
    /// A table whose keys are names chosen by the user, each of them a table with these keys.
    Named(&'static [Field]),
}

impl Shape {
    /// Narrows an integer; any other shape stays as it is.
    pub(super) const fn within(self, range: RangeInclusive<u64>) -> Self {
        match self {
            Self::Integer { .. } => Self::Integer {
                min: *range.start(),
                max: *range.end(),
            },
            other => other,
        }
    }

    /// What to write, in words for an error message.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text | Self::Secret => "a string".to_owned(),
            Self::Address => "an IP address and a port, like \"127.0.0.1:8420\"".to_owned(),
            Self::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::TextList => "an array of strings, like [\"a\", \"b\"]".to_owned(),
            Self::Section(_) | Self::Named(_) => "a table of keys".to_owned(),
        }
    }

    /// True when text from a variable is the value itself and not a piece of TOML.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Secret | Self::Choice(_) | Self::Address)
    }
}

/// One key of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key as written in a file.
    pub name: &'static str,
    /// Its documentation, one entry a line.
    pub doc: &'static [&'static str],
    /// What it holds.
    pub shape: Shape,
}

/// A type that a setting can have.
pub(super) trait Setting {
    /// What a file may say for it.
    const SHAPE: Shape;
}

macro_rules! shapes {
    ($($ty:ty => $shape:expr;)*) => {
        $(impl Setting for $ty { const SHAPE: Shape = $shape; })*
    };
}

shapes! {
    bool => Shape::Boolean;
    u32 => Shape::Integer { min: 0, max: u32::MAX as u64 };
    u64 => Shape::Integer { min: 0, max: i64::MAX as u64 };
    usize => Shape::Integer { min: 0, max: u32::MAX as u64 };
    String => Shape::Text;
    PathBuf => Shape::Text;
    SocketAddr => Shape::Address;
    DatabaseUrl => Shape::Text;
    Secret<String> => Shape::Secret;
    Vec<String> => Shape::TextList;
    Vec<PathBuf> => Shape::TextList;
    BTreeMap<String, AgentConfig> => Shape::Named(AgentConfig::FIELDS);
    BTreeMap<String, Issuer> => Shape::Named(Issuer::FIELDS);
    BTreeMap<String, AccessRole> => Shape::Named(AccessRole::FIELDS);
    BTreeMap<String, AccessSpace> => Shape::Named(AccessSpace::FIELDS);
    BTreeMap<String, Quota> => Shape::Named(Quota::FIELDS);
    BTreeMap<String, TrustDomain> => Shape::Named(TrustDomain::FIELDS);
}

impl<T: Setting> Setting for Option<T> {
    const SHAPE: Shape = T::SHAPE;
}

/// The shape that a dotted path leads to, if there is such a key.
pub(super) fn shape_at(fields: &'static [Field], path: &[String]) -> Option<Shape> {
    let (first, rest) = path.split_first()?;
    let shape = fields.iter().find(|field| field.name == first)?.shape;
    match (shape, rest) {
        (shape, []) => Some(shape),
        (Shape::Section(inner), rest) => shape_at(inner, rest),
        (Shape::Named(inner), [_, rest @ ..]) if !rest.is_empty() => shape_at(inner, rest),
        (Shape::Named(inner), _) => Some(Shape::Section(inner)),
        _ => None,
    }
}

/// Declares a section: `key: Type = default, allowed range;`, each key with its documentation.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $key:ident : $ty:ty = $default:expr $(, $range:expr)?;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`", $("; allowed: `", stringify!($range), "`",)? ".")]
                pub $key: $ty,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $name {
            /// The keys of this section in the order of their declaration.
            pub const FIELDS: &'static [$crate::config::schema::Field] = &[
                $($crate::config::schema::Field {
                    name: stringify!($key),
                    doc: &[$($doc),*],
                    shape: <$ty as $crate::config::schema::Setting>::SHAPE$(.within($range))?,
                },)*
            ];
        }

        impl $crate::config::schema::Setting for $name {
            const SHAPE: $crate::config::schema::Shape = $crate::config::schema::Shape::Section(Self::FIELDS);
        }
    };
}
pub(super) use section;

/// Declares a setting that takes one of a few words; the first is the default.
macro_rules! choice {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident {
            $(#[doc = $first_doc:literal])*
            $first:ident = $first_word:literal
            $(, $(#[doc = $doc:literal])* $variant:ident = $word:literal)* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[doc = $first_doc])*
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $(
                $(#[doc = $doc])*
                #[serde(rename = $word)]
                $variant,
            )*
        }

        impl $crate::config::schema::Setting for $name {
            const SHAPE: $crate::config::schema::Shape =
                $crate::config::schema::Shape::Choice(&[$first_word $(, $word)*]);
        }
    };
}
pub(super) use choice;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn each_field(fields: &'static [Field], visit: &mut impl FnMut(&'static Field)) {
        for field in fields {
            visit(field);
            if let Shape::Section(inner) | Shape::Named(inner) = field.shape {
                each_field(inner, visit);
            }
        }
    }

    #[test]
    fn every_key_is_documented() {
        let mut seen = 0;
        each_field(Config::FIELDS, &mut |field| {
            seen += 1;
            assert!(
                field.doc.concat().trim().len() > 20,
                "{} has no documentation",
                field.name
            );
        });
        assert!(seen > 70, "only {seen} keys");
    }

    #[test]
    fn every_number_has_bounds() {
        each_field(Config::FIELDS, &mut |field| {
            if let Shape::Integer { max, .. } = field.shape {
                assert!(max < u64::from(u32::MAX), "{} has no upper bound", field.name);
            }
        });
    }

    #[test]
    fn a_path_leads_to_its_shape() {
        let at = |path: &str| {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            shape_at(Config::FIELDS, &path)
        };
        assert_eq!(at("server.allow_plaintext"), Some(Shape::Boolean));
        assert_eq!(at("agents.echo.provider.url"), Some(Shape::Text));
        assert!(matches!(at("agents.echo"), Some(Shape::Section(_))));
        assert_eq!(at("agents.echo.nope"), None);
        assert_eq!(at("server.listen.more"), None);
    }
}

//! What a credential says about its bearer beside the name: claims of a token, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Claims with texts as their values, each with one value or several. A claim within another is named with a dot:
/// `realm_access.roles`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<Arc<str>, Box<[Arc<str>]>>);

impl Attributes {
    /// Notes the values of one claim.
    pub fn set(&mut self, name: &str, values: impl IntoIterator<Item = Arc<str>>) {
        self.0.insert(Arc::from(name), values.into_iter().collect());
    }

    /// The values of a claim; none when the credential does not have it.
    pub fn values(&self, name: &str) -> &[Arc<str>] {
        self.0.get(name).map_or(&[], |values| values)
    }

    /// The value of a claim that has exactly one.
    pub fn single(&self, name: &str) -> Option<&Arc<str>> {
        match self.values(name) {
            [only] => Some(only),
            _ => None,
        }
    }
}

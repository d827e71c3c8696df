//! API keys: made by the operator, shown once, kept as keyed hashes.
//!
//! `key` is the form of a key, `lookup` finds out whether one is good.

mod key;
mod lookup;

pub use key::{ApiKey, Bearer, NewApiKey};
pub(super) use lookup::ApiKeys;

//! Secrets at rest: keys from the configuration, what is sealed with them, and how keys change.
//!
//! This room owns keys and the form of what they seal. It must not know what is sealed, or where that is kept. A
//! [`Keyring`] has one key that seals and any number of former ones that still open; [`KeySource`] says where its keys
//! come from; a [`Sealer`] seals for one purpose, with a key that is derived for it (HKDF-SHA256, RFC 5869), so that
//! what is sealed for one purpose opens for no other.

mod error;
mod file;
mod keyring;
mod sealer;
mod source;

pub use error::Error;
pub use keyring::{KeyId, Keyring};
pub use sealer::{Sealer, associated};
pub use source::KeySource;

//! What can be wrong with keys and with what they have sealed. No text holds a key.

use std::path::PathBuf;

use super::KeyId;

/// Why something was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody said which key to seal with.
    #[error("there is no key to seal secrets with; set secrets.key, made by `openssl rand -hex 32`")]
    NoKey,
    /// The key that sealed this is not among those that are known.
    #[error(
        "the key {0} is not in secrets.key or secrets.previous_keys, nor in the key file of the database; add it to \
         secrets.previous_keys, or bring the file back"
    )]
    UnknownKey(KeyId),
    /// The bytes are not what was sealed, or were sealed for another place.
    #[error("what was sealed is damaged, or belongs elsewhere")]
    Damaged,
    /// The key file can't be read or made.
    #[error("the key file {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// The cryptographic library refuses, which it does when the system has no randomness.
    #[error("the system gives no randomness for keys and nonces")]
    Random,
}

//! Why a card was not signed, and why a signature does not count. No text holds a key.

use std::path::PathBuf;

/// What went wrong with a card, its signatures or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The card has no canonical form.
    #[error("the card can't be written as canonical JSON: {0}")]
    Card(String),
    /// The file of the signing key can't be used.
    #[error("the signing key {}: {why}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// The cryptographic library refuses to sign, which it does when the system has no randomness.
    #[error("the system gives no randomness for a signature")]
    Random,
    /// What is to be signed can't stand in a header.
    #[error("the {0} can't stand in a header: it is empty, too long or not of visible ASCII")]
    Header(&'static str),
    /// The keys to verify with can't be read.
    #[error("the key set {0}")]
    KeySet(&'static str),
    /// Nobody signed the card.
    #[error("the card is not signed")]
    Unsigned,
    /// More signatures than anybody needs; none was looked at.
    #[error("the card has {0} signatures; more than 16 are not looked at")]
    TooMany(usize),
    /// No signature is good; for each of them the reason.
    #[error("no signature of the card is good: {}", list(.0))]
    Refused(Vec<Refusal>),
}

/// Why one signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its header or the signature itself is not what RFC 7515 says.
    #[error("it is malformed")]
    Malformed,
    /// It asks for something that is not known here (`crit`, `b64`), or says outside of what is signed what has to be
    /// inside.
    #[error("it uses something that is not supported, or has a header outside of what is signed")]
    Unsupported,
    /// It names no key (`kid`), which the specification demands.
    #[error("it names no key")]
    NoKeyId,
    /// Its key is not in the set.
    #[error("the key {0:?} is not in the set")]
    UnknownKey(String),
    /// It names another algorithm than that of its key.
    #[error("it is not of the algorithm of the key {0:?}")]
    Algorithm(String),
    /// It was not made with its key for this card.
    #[error("the key {0:?} did not sign this card")]
    Mismatch(String),
}

fn list(refusals: &[Refusal]) -> String {
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

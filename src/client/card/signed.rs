//! Whether a card's owner wrote it (specification 8.4.3), as far as one can say.

use std::sync::Arc;

use crate::client::Error;
use crate::pb::AgentCard;
use crate::signature::{self, Form, Forms, PublicKeys, verify};

/// What is known of a card's signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureStatus {
    /// One is good.
    Verified {
        /// The id of the key that made it.
        kid: String,
        /// What it covers: that of the SDKs leaves out what is empty.
        form: Form,
    },
    /// There are some, and none that is known to be good.
    Unverifiable {
        /// Why, for people.
        why: String,
    },
    /// Nobody signed the card.
    Absent,
}

/// The keys that cards are checked with, and what a card without a good signature is worth.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Keys whose owners may sign cards. No URL in a signature is followed to others.
    pub keys: Arc<PublicKeys>,
    /// The canonical forms that are taken.
    pub forms: Forms,
    /// Whether a card without a good signature is refused.
    pub is_required: bool,
}

impl SignatureStatus {
    /// The status of a card, with these keys or none.
    ///
    /// # Errors
    /// [`Error::Card`] when a good signature is required and there is none.
    pub fn of(card: &AgentCard, verification: Option<&Verification>) -> Result<Self, Error> {
        let Some(Verification {
            keys,
            forms,
            is_required,
        }) = verification
        else {
            return Ok(match card.signatures.len() {
                0 => Self::Absent,
                _ => Self::Unverifiable {
                    why: "there are no keys to check the signatures with".to_owned(),
                },
            });
        };
        match verify(card, keys, *forms) {
            Ok(verified) => Ok(Self::Verified {
                kid: verified.kid,
                form: verified.form,
            }),
            Err(error) if *is_required => Err(Error::Card(format!(
                "{error}; a card signed with one of the given keys is required"
            ))),
            Err(signature::Error::Unsigned) => Ok(Self::Absent),
            Err(error) => Ok(Self::Unverifiable {
                why: error.to_string(),
            }),
        }
    }
}

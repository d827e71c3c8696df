//! Who calls: from what a request shows to an [`access::Caller`](crate::access::Caller).
//!
//! [`Authenticator`] is the only way in. It takes the credentials that a request [shows](Presented), finds out which of
//! them counts, has it verified ([`jwt`], [`api_key`], or the TLS handshake before), and lets the policy say who that is.
//! What was verified is remembered by its hash, so that a call costs a look-up. This room must not know operations; it
//! says who somebody is, and `service` what they may do. Start at [`Authenticator`].

pub mod api_key;
mod authenticator;
mod challenge;
mod error;
pub mod jwt;
mod presented;
mod schemes;
mod settings;

pub use authenticator::{Authenticator, Needs};
pub use error::{Failure, Reason, SetupError};
pub use presented::Presented;
pub use schemes::{requirements, schemes};
pub use settings::{ApiKeySettings, AuthSettings, Combination, IssuerSettings, KeySource};

/// Bytes as credentials are named by them: in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

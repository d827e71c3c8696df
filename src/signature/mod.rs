//! Signatures of agent cards (specification 8.4) and of webhooks (RFC 9421): what is signed, keys that sign and keys that
//! verify.
//!
//! This room owns what is signed and how. It must not know who serves a card or asks for one, or who sends a request.
//! [`canonical`] says which bytes of a card are signed; a [`SigningKey`] is read from a file and signs with [`sign`];
//! [`PublicKeys`] is a JWK set to check a card against with [`verify`], and [`jwk_set`] writes the set that a server
//! publishes. The same keys sign requests and verify them: see [`message`].
//!
//! What is signed of a card is the message, not the text that it came in: a card that was read from JSON or from protobuf
//! verifies the same, and what no field of it holds is neither signed nor seen by whoever verified it.

mod canonical;
mod error;
mod header;
mod jwk;
mod key;
pub mod message;
mod verify;

pub use canonical::{canonical, canonical_for_sdks};
pub use error::{Error, Refusal};
pub use jwk::{VerifyingKey, read_jwk_set};
pub use key::{SigningKey, jwk_set, sign};
pub use verify::{Form, Forms, PublicKeys, Verified, verify};

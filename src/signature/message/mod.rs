//! Signatures of requests: HTTP Message Signatures (RFC 9421), as far as webhooks need them.
//!
//! A signature covers the method, the whole target URI, the digest of the body (RFC 9530), its type and the id of the
//! delivery, and says when it was made, by which key, and that it is one of ours. The sender calls [`sign`] for each
//! attempt and adds the headers that it gets. Who receives calls [`verify`] with the head of a request, reads the body
//! only then, and asks [`Verified::is_of`] whether it is the one that was signed. A signature holds for a while only
//! ([`Window`]): whoever receives remembers the ids of deliveries for as long, and nothing can be replayed.

mod base;
mod digest;
mod input;
mod sign;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod verify;

pub use sign::{Outgoing, sign};
pub use verify::{Incoming, Refusal, Verified, Window, verify};

/// The header with the id of a delivery: the same for every attempt at it, and for no other delivery.
pub const DELIVERY_ID: &str = "a2a-notification-id";

/// The header with the digest of the body (RFC 9530).
pub const CONTENT_DIGEST: &str = "content-digest";

/// The headers of signatures (RFC 9421 section 4).
pub const SIGNATURE_INPUT: &str = "signature-input";
/// See [`SIGNATURE_INPUT`].
pub const SIGNATURE: &str = "signature";

/// What our signatures are for (RFC 9421 section 2.3, `tag`): those for another purpose don't count.
pub const TAG: &str = "a2ad-push";

/// For how many seconds a signature holds by its own account (`expires`). Those who receive may ask for less.
pub const VALID_S: i64 = 300;

/// The longest id of a delivery, in bytes.
pub const DELIVERY_ID_BYTES_MAX: usize = 256;

/// What a signature has to cover (RFC 9421 section 2), in the order in which ours do.
pub const COVERED: [&str; 5] = [
    "@method",
    "@target-uri",
    CONTENT_DIGEST,
    "content-type",
    DELIVERY_ID,
];

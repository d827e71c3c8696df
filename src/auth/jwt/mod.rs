//! JSON Web Tokens (RFC 7519) of configured issuers.
//!
//! A token is taken apart strictly (`token`), its issuer is looked up by the name that it claims, that issuer's own
//! keys and algorithms decide over the signature (`keys`), and only then its claims are believed (`claims`). Nothing in a
//! token's header leads anywhere: `jku`, `x5u`, `jwk` and `x5c` are not read, and `kid` is compared and nothing else.

mod claims;
mod issuer;
mod keys;
mod members;
mod source;
mod token;

pub(super) use issuer::{Issuer, Surroundings, Verified};
pub(super) use token::Token;
pub use token::algorithm;

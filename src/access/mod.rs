//! Who a caller is, and what it may do: data and decisions, without I/O and without a clock.
//!
//! A [`Caller`] is what authentication found out. A [`Policy`] holds the operator's roles; it says once for each
//! credential which [`Grants`] a caller has and whose tasks it works on, so that a call only looks them up. This room must not
//! know how a credential is verified (that is `auth`) or what an operation does (that is `service`). Start at [`Policy`].

mod admin;
mod attributes;
mod caller;
mod grants;
mod method;
mod owner;
mod pattern;
mod policy;
mod principal;

pub use admin::AdminMethod;
pub use attributes::Attributes;
pub use caller::{Caller, Credential, CredentialKind, Signer};
pub use grants::{Grant, Grants, Skills};
pub use method::{Method, Operations};
pub use owner::{Space, owners_of};
pub use pattern::Names;
pub use policy::{Identity, Members, Policy, Refusal, Role};
pub use principal::Principal;

//! What a client shows of itself, to whom, and how.
//!
//! A [`CredentialProvider`] hands out a [`Credential`]; [`Given`] says to which origins it goes, which is a matter of the
//! user alone. What an agent's card asks for decides only which of them is shown, and in what form: a `Plan` is made of
//! both for each interface, and the `Authorize` layer follows it. A secret never goes in the clear to another machine, to
//! an origin that it was not given for, or under the name of a header that only a card chose.

mod authorize;
mod fixed;
mod given;
pub mod oauth;
mod parameters;
mod placement;
mod plan;
mod provider;

pub(super) use authorize::Authorize;
pub use fixed::Credential;
pub use given::{Given, Origins};
pub(super) use parameters::Parameters;
pub(super) use plan::{Plan, Showing};
pub use provider::{CredentialKind, CredentialProvider};

//! Where credentials come from.

use std::fmt;

use async_trait::async_trait;
use http::HeaderName;

use super::Credential;
use crate::client::Error;

/// What a provider hands out, which decides the schemes of a card that it satisfies (specification 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A token: for HTTP `Bearer`, OAuth 2.0 and OpenID Connect.
    Token,
    /// An API key.
    ApiKey,
    /// A name and a password: for HTTP `Basic`.
    Basic,
    /// A header of this name, sent whatever the card says.
    Header(HeaderName),
}

/// A source of credentials of one kind. Its `Debug` form shows no secret.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// What it hands out.
    fn kind(&self) -> CredentialKind;

    /// The credential for the next call, fresh enough to be taken.
    ///
    /// # Errors
    /// When there is none; nothing is sent then.
    async fn credential(&self) -> Result<Credential, Error>;

    /// Whether there may be another one when an agent does not take the first.
    fn is_renewable(&self) -> bool;

    /// Another one than this, which an agent did not take; `None` when there is no other.
    ///
    /// # Errors
    /// When there should be another one and it can't be had.
    async fn renewed(&self, rejected: &Credential) -> Result<Option<Credential>, Error>;
}

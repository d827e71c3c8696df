//! Tokens of an authorization server: OAuth 2.0 client credentials (RFC 6749 section 4.4) and device codes (RFC 8628), with
//! endpoints that are given or found by OpenID Connect discovery.
//!
//! The user says which server that is. What an agent's card says about it ([`offered`]) is a proposal: whoever wrote the
//! card could name a server of their own to collect secrets, or a good one to get a token that was meant for others.
//! Tokens are kept and renewed ahead of their end, by one request at a time however many calls wait.

mod device;
mod endpoints;
mod exchange;
mod offered;
mod poll;
mod provider;
mod settings;
mod tokens;

pub use device::DeviceLogin;
pub use offered::{Offer, offered};
pub use provider::OAuthProvider;
pub use settings::{Grant, OAuthEndpoints, OAuthSettings};
pub use tokens::{StoredToken, TokenStore};

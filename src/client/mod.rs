//! The other side of the wire: calls to agents, by any binding, and a [`receiver`] of webhooks.
//!
//! A call goes from [`Client`] through [`layers`] to a binding ([`transport`]), each of them a `tower::Service` of [`Call`]s;
//! what comes back is a [`Reply`] or an [`Error`], the same on every binding. All connections go through the egress guard.
//! [`streams`] is what outlives one connection, [`upload`] what is too large for memory, [`wire`] is for looking at what is
//! sent.

pub mod call;
pub mod card;
pub mod credential;
pub mod layers;
pub mod receiver;
pub mod streams;
pub mod transport;
pub mod upload;
pub mod wire;

mod builder;
mod connections;
mod endpoint;
mod error;
mod events;
mod instance;
mod many;
mod operations;
mod pool;
mod push_admin;
mod settings;
mod target;

pub use builder::ClientBuilder;
pub use call::{Answer, Call, Reply, Request};
pub use card::{CardReference, ResolvedCard, fetch_card};
pub use connections::Connections;
pub use credential::Credential;
pub use endpoint::{Address, AddressError};
pub use error::{AgentError, Error};
pub use events::{Event, EventStream};
pub use instance::Instance;
pub use layers::LayerSettings;
pub use many::{at_once, discover_many, send_many};
pub use operations::Client;
pub use push_admin::PushAdminClient;
pub use settings::ClientSettings;
pub use target::Target;

//! Why a runtime did not start.

use std::net::SocketAddr;

use crate::{agent, api, audit, auth, config, egress, error, repository, secrets, server, signature, tls};

/// Why a runtime did not start; the text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The agents can't be hosted together.
    #[error(transparent)]
    Agents(#[from] agent::RegistryError),
    /// An agent that the configuration speaks of does not exist.
    #[error("[agents.{0}] configures an agent that is not hosted; hosted are: {1}")]
    UnknownAgent(String, String),
    /// The address is taken, or not ours.
    #[error("can't listen on {address}: {cause}; choose another with --listen or server.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The address would be reachable by others without TLS.
    #[error(transparent)]
    Exposure(#[from] server::Error),
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Authentication can't be set up.
    #[error(transparent)]
    Auth(#[from] auth::SetupError),
    /// The way out can't be set up.
    #[error("egress: {0}")]
    Egress(#[from] egress::Error),
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] repository::sea_orm::OpenError),
    /// The keys of secrets at rest can't be used.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// Cards and webhooks can't be signed.
    #[error(transparent)]
    Signature(#[from] signature::Error),
    /// The URL of the database can't be read.
    #[error("database.url: {0}")]
    Backend(String),
    /// The audit records can't be kept.
    #[error(transparent)]
    Audit(#[from] audit::OpenError),
    /// The operations can't be set up.
    #[error(transparent)]
    Service(#[from] error::Error),
    /// The bindings can't be set up.
    #[error(transparent)]
    Api(#[from] api::SetupError),
}

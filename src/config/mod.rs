//! Configuration: compiled defaults, below a TOML file, below `A2AD__SECTION__KEY` variables, below flags.
//!
//! This room owns every setting, with its default, bounds and documentation ([`Config`] and the files of its
//! sections), and how they are read ([`Loader`]) and shown ([`Loaded::to_toml_annotated`]). It must not know what the
//! settings do. Unknown keys are refused, because a misspelt limit is a limit that doesn't hold. Start at [`Config`]
//! for what can be set and at [`Loader`] for how.

mod access;
mod admin;
mod agent;
mod audit;
mod auth;
mod card;
mod database;
mod egress;
mod environment;
mod error;
mod execution;
mod layers;
mod limits;
mod loader;
mod log;
mod nearest;
mod network;
mod push;
mod quotas;
mod render;
mod retention;
mod schema;
mod secret;
mod secrets;
mod server;
mod tls;
mod validate;

use std::collections::BTreeMap;

pub use access::{Access, AccessRole, AccessSpace, DefaultAccess};
pub use admin::Admin;
pub use agent::{AgentConfig, Idempotency, ProviderConfig};
pub use audit::Audit;
pub use auth::{ApiKeys, Auth, CertificateOrganisation, Certificates, Issuer};
pub use card::{Card, CardCapabilities};
pub use database::{Backend, Database};
pub use egress::Egress;
pub use error::{Error, Problem};
pub use execution::Execution;
pub use limits::Limits;
pub use loader::{Loaded, Loader, Source};
pub use log::{Log, LogFormat};
pub use network::{Network, NetworkError};
pub use push::Push;
pub use quotas::{AgentQuota, Quota, Quotas};
pub use render::reference;
pub use retention::{AgentRetention, Retention};
pub use schema::{Field, Shape};
pub use secret::{DatabaseUrl, MASK, Secret};
pub use secrets::Secrets;
pub use server::{ProxyHeader, Server};
pub use tls::{ClientCertificates, ClientNames, Tls, TrustDomain};

schema::section! {
    /// Everything that can be set.
    pub struct Config {
        /// Name of the agent that answers when a request names none; absent: the first
        /// one that is hosted.
        default_agent: Option<String> = None;
        /// Hosts the example agents echo, bench, counter and conformance.
        demo: bool = false;
        /// The listening socket, what one connection may use, and how the server drains.
        server: Server = Server::default();
        /// TLS of the listening socket; on as soon as cert_file is set.
        tls: Tls = Tls::default();
        /// How callers say who they are: tokens, API keys, certificates.
        auth: Auth = Auth::default();
        /// What callers may do, by roles.
        access: Access = Access::default();
        /// The database behind the task log.
        database: Database = Database::default();
        /// Bounds of everything that a caller or an agent can make grow.
        limits: Limits = Limits::default();
        /// How much callers, agents and organisations may use.
        quotas: Quotas = Quotas::default();
        /// How agents run, how long, how often, and who waits for them.
        execution: Execution = Execution::default();
        /// How long ended tasks and old events are kept.
        retention: Retention = Retention::default();
        /// Where records of what was done are kept.
        audit: Audit = Audit::default();
        /// How agent cards are served.
        card: Card = Card::default();
        /// What operators can do by gRPC.
        admin: Admin = Admin::default();
        /// Where webhooks may be, and how push notifications are delivered to them.
        push: Push = Push::default();
        /// Requests that the server itself makes.
        egress: Egress = Egress::default();
        /// The keys of secrets at rest.
        secrets: Secrets = Secrets::default();
        /// What is logged, and for whom.
        log: Log = Log::default();
        /// Agents by name: what an operator says differently from their own cards.
        agents: BTreeMap<String, AgentConfig> = BTreeMap::new();
    }
}

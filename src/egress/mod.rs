//! Requests that this program makes to addresses that others name: webhooks, keys of issuers, cards.
//!
//! This room owns the one way out. What may be reached is decided twice: a URL is looked at when it is named
//! ([`EgressPolicy::check`]), and every address that its name resolves to before one of them is connected to, so that
//! no spelling, no DNS answer and no redirect leads to a host that a stranger has no business with. It must not know
//! what the requests are for. Start at [`Egress`]:
//!
//! ```no_run
//! # use a2ad::egress::{Egress, EgressPolicy, EgressSettings, Error};
//! # use a2ad::shutdown::Shutdown;
//! # async fn fetch() -> Result<(), Error> {
//! let egress = Egress::open(EgressSettings::default(), &Shutdown::new()).await?;
//! // One client for each kind of request: connections of one policy are never used under another.
//! let issuers = egress.client(EgressPolicy::default());
//! let keys = issuers.get("https://issuer.example.com/.well-known/jwks.json").await?;
//! # let _ = keys;
//! # Ok(())
//! # }
//! ```

mod address;
mod channel;
mod client;
mod connection;
mod connector;
mod dial;
mod error;
mod hang_up;
mod policy;
mod resolve;
mod settings;
mod url;

pub use address::{is_inner, is_public};
pub use channel::{ChannelBody, EgressChannel};
pub use client::{Egress, EgressClient};
pub use connection::Peer;
pub use dial::{Dial, TcpDial};
pub use error::{Error, Refusal};
pub use hang_up::HangUp;
pub use policy::EgressPolicy;
pub use resolve::{Resolve, SystemResolver};
pub use settings::EgressSettings;

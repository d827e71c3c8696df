//! Transport security: what our listeners show, whom they let in, and who the caller is.
//!
//! This room owns certificates, keys, revocation lists and the identity that a client certificate proves. It knows
//! nothing of HTTP and opens no socket: the `server` room hands it byte streams. Start at [`TlsSource`], which
//! holds the configuration in use, replaces it when the files change, and tells the connections whose certificate no
//! longer holds ([`Standing`]); [`identity`] says which names count; [`dev`] makes throw-away certificates for
//! development and tests.
//!
//! The crypto provider is passed explicitly everywhere, so nothing depends on a process-wide default.

pub mod dev;
pub mod identity;

mod client;
mod error;
mod files;
mod refusal;
mod server_config;
mod settings;
mod source;
mod standing;
mod unverified;
mod verifier;

pub use client::{ClientTls, web_client};
pub use error::Error;
pub use identity::PeerIdentity;
pub use refusal::{HandshakeError, RefusedCertificate};
pub use settings::{Authorities, ClientCertificates, ClientNames, TlsSettings};
pub use source::{Accepted, TlsSource};
pub use standing::Standing;
pub use unverified::without_verification;

use std::sync::Arc;

/// The one crypto provider of this program.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

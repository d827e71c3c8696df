//! Who is told of client certificates that don't hold: they end connections on which no request says so.

use std::net::SocketAddr;

use crate::tls::{PeerIdentity, RefusedCertificate};

/// Is told of client certificates that don't hold, on the path of connections: it must neither wait nor fail. A stranger
/// decides how often a certificate is refused, within the limits of connections and handshakes; whoever writes it down has
/// to have a limit of its own.
pub trait CertificateObserver: Send + Sync + 'static {
    /// A certificate was refused in the handshake, or was missing.
    fn refused(&self, peer: SocketAddr, certificate: &RefusedCertificate);

    /// The connection is cut because the certificate that it was let in with no longer holds; once for each connection.
    fn cut(&self, peer: SocketAddr, identity: &PeerIdentity, reason: &'static str);
}

/// Nobody is told; the log has it.
impl CertificateObserver for () {
    fn refused(&self, _: SocketAddr, _: &RefusedCertificate) {}

    fn cut(&self, _: SocketAddr, _: &PeerIdentity, _: &'static str) {}
}

//! From a URL to a connection: look up, judge every address, connect to one of those, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error as TlsError};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::connection::EgressConnection;
use super::{Dial, EgressPolicy, Error, Refusal, Resolve};

/// Connects under one policy.
#[derive(Clone)]
pub(super) struct Connector(pub(super) Arc<Way>);

/// What a connector is made of.
pub(super) struct Way {
    pub(super) policy: EgressPolicy,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) tls: TlsConnector,
    pub(super) timeout: Duration,
    pub(super) addresses_max: usize,
    /// One for each connection that may be open.
    pub(super) places: Arc<Semaphore>,
}

impl Service<Uri> for Connector {
    type Response = EgressConnection;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<EgressConnection, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move {
            let deadline = Instant::now() + way.timeout;
            let connected = tokio::time::timeout_at(deadline, way.connect(&uri, deadline)).await;
            connected.unwrap_or(Err(Error::Timeout))
        })
    }
}

impl Way {
    async fn connect(&self, uri: &Uri, deadline: Instant) -> Result<EgressConnection, Error> {
        // Before the deadline of the whole, which would be charged to the host.
        let wait = deadline.saturating_duration_since(Instant::now()) / 2;
        let place = tokio::time::timeout(wait, self.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| Error::Local("all connections are in use".to_owned()))?;
        let place = place.map_err(|_| Error::Local("everything is being closed".to_owned()))?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().ok_or(Refusal::Form)?;
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = self.vetted(host, is_tls).await?;
        let stream = self.dial(&addresses, port, deadline).await?;
        if !is_tls {
            return Ok(EgressConnection::plain(stream, place));
        }
        let stream = self.tls.connect(server_name(host)?, stream).await;
        let stream = stream.map_err(|error| Error::Tls(tls_reason(&error)))?;
        Ok(EgressConnection::tls(stream, place))
    }

    /// The addresses of a host, every one of them judged. One that is refused refuses all: who mixes inner and outer
    /// addresses in an answer wants the inner ones.
    async fn vetted(&self, host: &str, is_tls: bool) -> Result<Vec<IpAddr>, Error> {
        let addresses = match literal(host) {
            Some(address) => vec![address],
            None => self.resolve(host).await?,
        };
        let addresses: Vec<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
        if addresses
            .iter()
            .all(|address| self.policy.admits(*address, is_tls))
        {
            Ok(addresses)
        } else {
            Err(Error::Refused(Refusal::Host))
        }
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let found = self.resolver.resolve(host).await;
        let found = found.map_err(|error| Error::Resolve(error.to_string()))?;
        match found.len() {
            0 => Err(Error::Resolve("it has no address".to_owned())),
            count if count > self.addresses_max => Err(Error::Resolve(format!(
                "it has more than {} addresses, the limit of egress.addresses_max",
                self.addresses_max
            ))),
            _ => Ok(found),
        }
    }

    /// Tries one address after the other. Each gets its share of the time that is left, so that one which does not
    /// answer leaves time for the next.
    async fn dial(&self, addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<TcpStream, Error> {
        let mut failed = Error::Timeout;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            let dialing = self.dialer.dial(SocketAddr::new(*address, port));
            match tokio::time::timeout(share, dialing).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = not_connected(&error),
                Err(_) => failed = Error::Timeout,
            }
        }
        Err(failed)
    }
}

/// Why there is no connection. The kind alone: other words of the system may name the address.
fn not_connected(error: &io::Error) -> Error {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Error::Local("too many open files".to_owned()),
        Some(Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM) => Error::Local(error.kind().to_string()),
        _ => Error::Connect(error.kind().to_string()),
    }
}

/// The address that a host of a URL is, if it is no name.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whom the certificate must name. A dot at the end of a name is none of it.
fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    if let Some(address) = literal(host) {
        return Ok(ServerName::IpAddress(address.to_canonical().into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_owned();
    ServerName::try_from(name).map_err(|_| Error::Refused(Refusal::Form))
}

/// What went wrong with TLS. Which names the certificate has is not told: they may be inner ones.
fn tls_reason(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match inner {
        Some(TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {
            "its certificate is for another name".to_owned()
        }
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is from an authority that is not known here".to_owned()
        }
        Some(other) => other.to_string(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_not_charged_to_the_host() {
        for code in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM] {
            let failed = not_connected(&io::Error::from(code));
            assert!(matches!(failed, Error::Local(_)), "{code}: {failed}");
        }
        for code in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::CONNRESET] {
            let failed = not_connected(&io::Error::from(code));
            assert!(matches!(failed, Error::Connect(_)), "{code}: {failed}");
        }
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_eq!(literal("8.8.8.8"), Some(IpAddr::from([8, 8, 8, 8])));
        assert_eq!(literal("[2606:4700::1]"), "2606:4700::1".parse().ok());
        assert_eq!(literal("example.com"), None);
        let name = server_name("example.com.").unwrap();
        assert_eq!(name, ServerName::try_from("example.com").unwrap());
        assert!(matches!(
            server_name("[::ffff:8.8.8.8]"),
            Ok(ServerName::IpAddress(rustls::pki_types::IpAddr::V4(_)))
        ));
    }
}

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::connection::{EgressConnection, Peer};
use super::hang_up::{HangUp, HungUp};
use super::{Dial, EgressPolicy, Error, Refusal, Resolve};

/// Connects under one policy.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) way: Arc<Way>,
    /// What ends its connections.
    pub(super) hang_up: Option<HangUp>,
}

impl Connector {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way: Arc::new(way),
            hang_up: None,
        }
    }
}

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
        let way = self.way.clone();
        let hung_up = self.hang_up.clone().map(HungUp::of);
        Box::pin(async move {
            let began = Instant::now();
            let deadline = began + way.timeout;
            let place = way.place(deadline).await?;
            // A host that had little of the time is not to blame that it ran out.
            let is_late = began.elapsed() > way.timeout / 2;
            let connecting = way.connect(&uri, place, deadline);
            match tokio::time::timeout_at(deadline, connecting).await {
                Err(_) | Ok(Err(Error::Timeout)) if is_late => Err(no_place()),
                connected => connected
                    .unwrap_or(Err(Error::Timeout))
                    .map(|connection| connection.until(hung_up)),
            }
        })
    }
}

impl Way {
    /// A place among the connections. Waiting for it may take the whole time: one that nobody uses is closed before.
    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let place = tokio::time::timeout_at(deadline, self.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| no_place())?;
        place.map_err(|_| Error::Local("everything is being closed".to_owned()))
    }

    async fn connect(
        &self,
        uri: &Uri,
        place: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<EgressConnection, Error> {
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().ok_or(Refusal::Form)?;
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = self.vetted(host, is_tls).await?;
        let (stream, peer) = self.dial(&addresses, port, deadline).await?;
        if !is_tls {
            return Ok(EgressConnection::plain(stream, peer, place));
        }
        let stream = self.tls.connect(server_name(host)?, stream).await;
        let stream = stream.map_err(|error| Error::Tls(tls_reason(&error)))?;
        Ok(EgressConnection::tls(stream, peer, place))
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
        let found =
            found.map_err(|error| local(&error).unwrap_or_else(|| Error::Resolve(error.to_string())))?;
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
    async fn dial(
        &self,
        addresses: &[IpAddr],
        port: u16,
        deadline: Instant,
    ) -> Result<(TcpStream, Peer), Error> {
        let mut failed = Error::Timeout;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            let dialing = self.dialer.dial(SocketAddr::new(*address, port));
            match tokio::time::timeout(share, dialing).await {
                Ok(Ok(stream)) => return Ok((stream, Peer(*address))),
                Ok(Err(error)) => failed = not_connected(&error),
                Err(_) => failed = Error::Timeout,
            }
        }
        Err(failed)
    }
}

fn no_place() -> Error {
    Error::Local("all connections are in use".to_owned())
}

/// Why there is no connection. The kind alone: other words of the system may name the address.
fn not_connected(error: &io::Error) -> Error {
    local(error).unwrap_or_else(|| Error::Connect(error.kind().to_string()))
}

/// What this machine lacks, if that is what went wrong.
fn local(error: &io::Error) -> Option<Error> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Error::Local("too many open files".to_owned())),
        Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM => Some(Error::Local(error.kind().to_string())),
        _ => None,
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
    use async_trait::async_trait;

    use super::*;
    use crate::tls;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// A network in which names end with an error of the system, and addresses do not answer.
    struct Silent(Errno);

    #[async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(self.0.into())
        }
    }

    #[async_trait]
    impl Dial for Silent {
        async fn dial(&self, _: SocketAddr) -> io::Result<TcpStream> {
            std::future::pending().await
        }
    }

    async fn connector(code: Errno, places: usize) -> Connector {
        Connector::new(Way {
            policy: EgressPolicy::default(),
            resolver: Arc::new(Silent(code)),
            dialer: Arc::new(Silent(code)),
            tls: TlsConnector::from(Arc::new(tls::web_client(None, &[]).await.unwrap())),
            timeout: TIMEOUT,
            addresses_max: 1,
            places: Arc::new(Semaphore::new(places)),
        })
    }

    async fn error(connector: &Connector, uri: &'static str) -> Error {
        let connected = connector.clone().call(Uri::from_static(uri)).await;
        connected.err().unwrap()
    }

    #[tokio::test]
    async fn what_the_resolver_lacks_is_not_charged_to_the_host() {
        for code in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            let failed = error(&connector(code, 1).await, "https://a.example/").await;
            assert!(matches!(failed, Error::Local(_)), "{code}: {failed}");
        }
        let failed = error(&connector(Errno::CONNREFUSED, 1).await, "https://a.example/").await;
        assert!(matches!(failed, Error::Resolve(_)), "{failed}");
    }

    #[tokio::test]
    async fn the_whole_time_may_pass_for_a_place_and_is_not_charged_to_the_host() {
        let connector = connector(Errno::MFILE, 1).await;
        tokio::time::pause();
        let began = Instant::now();
        let [first, second] = ["https://8.8.8.8/", "https://9.9.9.9/"].map(|uri| error(&connector, uri));
        // The first has the place all the time, and its host does not answer.
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first, second), (Error::Timeout, no_place()));
        assert_eq!(began.elapsed().as_secs(), TIMEOUT.as_secs());

        // A place that comes late is one, but a host that does not answer in the rest of the time is not to blame.
        for (wait, failed) in [(4, Error::Timeout), (6, no_place())] {
            let held = connector.way.places.clone().acquire_owned().await.unwrap();
            let (found, ()) = tokio::join!(error(&connector, "https://8.8.8.8/"), async move {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                drop(held);
            });
            assert_eq!(found, failed, "after {wait} s");
        }
    }

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

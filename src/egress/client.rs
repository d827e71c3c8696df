//! The client: one for each kind of request, with connections of its own.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::channel::{ChannelBody, EgressChannel};
use super::connector::{Connector, Way};
use super::{Dial, EgressPolicy, EgressSettings, Error, Resolve, SystemResolver, TcpDial};
use crate::shutdown::Shutdown;
use crate::tls;

/// Bytes of the headers of an answer; more is an error.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Bytes that are read before somebody takes them, of one HTTP/2 stream and of one HTTP/1.1 connection.
const WINDOW_BYTES: u32 = 64 * 1024;

/// Headers of an answer; more is an error.
const HEADERS_MAX: usize = 100;

/// How long a host may take to say that it is still there.
const PONG_WAIT: Duration = Duration::from_secs(20);

/// How long the body of an answer is waited for that nobody wants.
const BODY_WAIT: Duration = Duration::from_millis(250);

/// What the connection says of itself is not the caller's to say.
pub(super) const OURS: [header::HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The way out for all kinds of requests. Clones share it.
#[derive(Clone)]
pub struct Egress {
    settings: Arc<EgressSettings>,
    tls: Arc<ClientConfig>,
    resolver: Arc<dyn Resolve>,
    dialer: Arc<dyn Dial>,
    shutdown: Shutdown,
}

impl Egress {
    /// Reads the authorities of the system and of `ca_file`. Connections end with `shutdown`.
    ///
    /// # Errors
    /// [`Error::Authorities`] when `ca_file` can't be used. A system without authorities is none: it is logged, and
    /// hosts whose certificates they would vouch for can't be reached.
    pub async fn open(settings: EgressSettings, shutdown: &Shutdown) -> Result<Self, Error> {
        Self::open_with(settings, Arc::new(SystemResolver), Arc::new(TcpDial), shutdown).await
    }

    /// The same with another way to look names up, and another one to connect: for tests, and for machines whose
    /// resolver is not the one to ask.
    ///
    /// # Errors
    /// As for [`Egress::open`].
    pub async fn open_with(
        settings: EgressSettings,
        resolver: Arc<dyn Resolve>,
        dialer: Arc<dyn Dial>,
        shutdown: &Shutdown,
    ) -> Result<Self, Error> {
        let tls = tls::web_client(settings.ca_file.as_deref(), &["h2", "http/1.1"]).await;
        let tls = tls.map_err(|error| Error::Authorities(error.to_string()))?;
        Ok(Self {
            settings: Arc::new(settings),
            tls: Arc::new(tls),
            resolver,
            dialer,
            shutdown: shutdown.clone(),
        })
    }

    /// The way out with TLS as `tls` says: which authorities count, and which certificate is shown. `egress.ca_file` of
    /// the settings counts for nothing here.
    pub fn with_tls(settings: EgressSettings, mut tls: ClientConfig, shutdown: &Shutdown) -> Self {
        tls.alpn_protocols = alpn(&["h2", "http/1.1"]);
        Self {
            settings: Arc::new(settings),
            tls: Arc::new(tls),
            resolver: Arc::new(SystemResolver),
            dialer: Arc::new(TcpDial),
            shutdown: shutdown.clone(),
        }
    }

    /// The same with another way to look names up, and another one to connect.
    #[must_use]
    pub fn over(self, resolver: Arc<dyn Resolve>, dialer: Arc<dyn Dial>) -> Self {
        Self {
            resolver,
            dialer,
            ..self
        }
    }

    /// A client for requests of one kind. No connection of it is used under another policy.
    pub fn client(&self, policy: EgressPolicy) -> EgressClient {
        self.client_within(policy, Duration::MAX)
    }

    /// The same for a caller that gives every request up after a `limit` of its own. A connection takes three quarters of
    /// that at most: whoever waits for a place among them hears so in time, and takes it for no silence of the host.
    pub fn client_within(&self, policy: EgressPolicy, limit: Duration) -> EgressClient {
        let connect_timeout = self.settings.connect_timeout.min(limit / 4 * 3);
        // The pool looks for connections that nobody uses once in that time, so that one may be kept for twice as long:
        // whoever waits for a place gets it before the wait is over.
        let idle_timeout = self.settings.idle_timeout.min(connect_timeout / 3);
        let connector = self.connector(&policy, self.tls.clone(), connect_timeout);
        EgressClient {
            policy: Arc::new(policy),
            settings: self.settings.clone(),
            client: self.builder(idle_timeout).build(connector),
        }
    }

    /// A client for exchanges whose bodies may be streams, by whatever version of HTTP the host speaks.
    pub fn channel<B: ChannelBody>(&self, policy: EgressPolicy) -> EgressChannel<B> {
        let settings = &self.settings;
        let connector = self.connector(&policy, self.tls.clone(), settings.connect_timeout);
        EgressChannel::new(policy, self.builder(settings.idle_timeout), connector)
    }

    /// The same by HTTP/2 only, as gRPC wants it; in the clear without asking first. A host that is silent for
    /// `ping_interval` while it owes an answer is asked whether it is still there, and given up if it doesn't say so.
    pub fn http2_channel<B: ChannelBody>(
        &self,
        policy: EgressPolicy,
        ping_interval: Duration,
    ) -> EgressChannel<B> {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = alpn(&["h2"]);
        let connector = self.connector(&policy, Arc::new(tls), self.settings.connect_timeout);
        let mut builder = self.builder(self.settings.idle_timeout);
        builder
            .http2_only(true)
            .http2_keep_alive_interval(ping_interval)
            .http2_keep_alive_timeout(PONG_WAIT);
        EgressChannel::new(policy, builder, connector)
    }

    fn connector(&self, policy: &EgressPolicy, tls: Arc<ClientConfig>, timeout: Duration) -> Connector {
        let settings = &self.settings;
        Connector::new(Way {
            policy: policy.clone(),
            resolver: self.resolver.clone(),
            dialer: self.dialer.clone(),
            tls: TlsConnector::from(tls),
            timeout,
            addresses_max: settings.addresses_max,
            places: Arc::new(Semaphore::new(settings.connections_max)),
        })
    }

    fn builder(&self, idle_timeout: Duration) -> legacy::Builder {
        let settings = &self.settings;
        let mut builder = Client::builder(Background(self.shutdown.clone()));
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_host_max)
            .http1_max_headers(HEADERS_MAX)
            .http1_max_buf_size(WINDOW_BYTES as usize)
            .http2_max_header_list_size(HEAD_BYTES_MAX)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES);
        builder
    }
}

fn alpn(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Runs what drives connections.
#[derive(Clone)]
struct Background(Shutdown);

impl<F> Executor<F> for Background
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.0.spawn("egress", work);
    }
}

/// Sends requests under one policy. Redirects are answers like any other, and no proxy is taken from the environment.
/// Clones share their connections.
#[derive(Clone)]
pub struct EgressClient {
    policy: Arc<EgressPolicy>,
    settings: Arc<EgressSettings>,
    client: Client<Connector, Full<Bytes>>,
}

impl EgressClient {
    /// The policy of this client.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// The body that a URL answers with.
    ///
    /// # Errors
    /// As for [`EgressClient::send`]; [`Error::Status`] for every answer but 200.
    pub async fn get(&self, url: &str) -> Result<Bytes, Error> {
        let uri = self.policy.check(url)?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        let response = self.send(request).await?;
        match response.status().as_u16() {
            200 => Ok(response.into_body()),
            status => Err(Error::Status(status)),
        }
    }

    /// Sends a request and reads the whole answer, whatever its status. The URL is checked here too; headers that belong
    /// to the connection are taken out.
    ///
    /// # Errors
    /// See [`Error`]. Behind [`Error::Timeout`], [`Error::TooLarge`] and [`Error::Http`] the host may have got the
    /// request; behind the others it has not.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let exchange = self.exchange(self.prepared(request)?);
        let answered = tokio::time::timeout(self.settings.timeout, exchange).await;
        answered.unwrap_or(Err(Error::Timeout))
    }

    /// Sends a request for the head of its answer, whatever its status. What is short and comes at once of the body is
    /// thrown away, so that the connection can be used again; a longer or slower one costs the connection and is no error.
    ///
    /// # Errors
    /// As for [`EgressClient::send`], but for [`Error::TooLarge`].
    pub async fn send_for_head(&self, request: Request<Bytes>) -> Result<Response<()>, Error> {
        let request = self.prepared(request)?;
        let answered = tokio::time::timeout(self.settings.timeout, self.client.request(request)).await;
        let response = answered.map_err(|_| Error::Timeout)?;
        let (head, body) = response.map_err(|error| cause(&error))?.into_parts();
        let _ = tokio::time::timeout(BODY_WAIT, self.read(body)).await;
        Ok(Response::from_parts(head, ()))
    }

    /// The request in the form in which it is sent: its URL checked, and without headers that belong to the connection.
    fn prepared(&self, mut request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Error> {
        *request.uri_mut() = self.policy.check(&request.uri().to_string())?;
        *request.version_mut() = Version::HTTP_11;
        for name in OURS {
            request.headers_mut().remove(name);
        }
        Ok(request.map(Full::new))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| cause(&error))?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, self.read(body).await?))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Error> {
        let limit = self.settings.response_bytes_max;
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(limit)),
            Err(error) => Err(Error::Http(error.to_string())),
        }
    }
}

/// What the connector said, if it was the connector; else the first cause of all.
pub(super) fn cause(error: &legacy::Error) -> Error {
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<Error>() {
            return ours.clone();
        }
        last = inner.to_string();
        cause = inner.source();
    }
    Error::Http(last)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, SocketAddr};

    use async_trait::async_trait;
    use tokio::net::TcpStream;

    use super::*;

    /// A network in which no address answers.
    struct Silent;

    #[async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }

    #[async_trait]
    impl Dial for Silent {
        async fn dial(&self, _: SocketAddr) -> io::Result<TcpStream> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_hears_so_before_the_request_is_given_up() {
        let settings = EgressSettings {
            connections_max: 1,
            ..EgressSettings::default()
        };
        let silent = Arc::new(Silent);
        let egress = Egress::open_with(settings.clone(), silent.clone(), silent, &Shutdown::new())
            .await
            .unwrap();
        tokio::time::pause();
        for limit in [20, 999, 5_000, 10_000, 10_001, 15_000].map(Duration::from_millis) {
            let client = egress.client_within(EgressPolicy::default(), limit);
            let send = |uri: &'static str| {
                let request = Request::get(uri).body(Bytes::new()).unwrap();
                tokio::time::timeout(limit, client.send_for_head(request))
            };
            let (first, second) = tokio::join!(send("https://8.8.8.8/"), send("https://9.9.9.9/"));
            assert_eq!(first.unwrap().err(), Some(Error::Timeout), "{limit:?}");
            let second = second.unwrap().err();
            assert!(matches!(second, Some(Error::Local(_))), "{limit:?}: {second:?}");
        }
    }
}

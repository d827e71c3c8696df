//! One connection from its handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{BoxError, Service};

use super::breaches::is_breach;
use super::cork::cork;
use super::ending::Ending;
use super::frames::FrameWatch;
use super::handshakes::Handshakes;
use super::observer::CertificateObserver;
use super::peer::{Peer, PeerService};
use super::protocol::{Protocol, detect};
use super::requests::{OpenRequests, RequestExecutor};
use super::settings::ServerSettings;
use super::socket::PatientSocket;
use crate::shutdown::Shutdown;
use crate::tls::{HandshakeError, PeerIdentity, Standing, TlsSource};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As any connection may.
    Fair,
    /// By a client that broke the rules of its protocol.
    Breach,
}

/// What all connections of a listener share.
pub(super) struct Connections {
    tls: Option<Arc<TlsSource>>,
    handshakes: Handshakes,
    http1: http1::Builder,
    settings: ServerSettings,
    pub(super) shutdown: Shutdown,
    observer: Arc<dyn CertificateObserver>,
}

impl Connections {
    pub(super) fn new(
        tls: Option<Arc<TlsSource>>,
        settings: ServerSettings,
        shutdown: Shutdown,
        observer: Arc<dyn CertificateObserver>,
    ) -> Self {
        Self {
            tls,
            handshakes: Handshakes::new(&settings),
            http1: http1_builder(&settings),
            settings,
            shutdown,
            observer,
        }
    }

    /// Serves the `number`th connection until it is closed, and tells how it ended.
    pub(super) async fn run<S, B>(&self, tcp: TcpStream, addr: SocketAddr, number: u64, service: S) -> End
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(peer = %addr, %error, "cannot switch off Nagle's algorithm; answers may be slower");
        }
        let tcp = PatientSocket::new(tcp, write_timeout(&self.settings));
        let Some(tls) = &self.tls else {
            let service = self.service(service, addr, None, false);
            return self.serve(tcp, number, service, None).await;
        };
        let handshake = async {
            let is_trusted = self.settings.trusted_proxies.trusts(addr.ip());
            let _turn = self.handshakes.turn(addr, number, is_trusted).await;
            tls.accept(tcp).await
        };
        let accepted = tokio::select! {
            biased;
            // Nothing of this connection was taken on yet, so nothing has to be finished.
            () = self.shutdown.draining() => return End::Fair,
            accepted = timeout(Duration::from_millis(self.settings.handshake_timeout_ms), handshake) => accepted,
        };
        match accepted {
            Ok(Ok(accepted)) => {
                let service = self.service(service, addr, accepted.identity, true);
                return self
                    .serve(accepted.stream, number, service, accepted.standing)
                    .await;
            }
            Ok(Err(error)) => self.failed(addr, &error),
            Err(_) => tracing::info!(peer = %addr, "tls handshake took too long"),
        }
        End::Fair
    }

    fn failed(&self, addr: SocketAddr, error: &HandshakeError) {
        // Hanging up in the middle is what health probes do.
        if error.cause.kind() == std::io::ErrorKind::UnexpectedEof {
            tracing::debug!(peer = %addr, "the client hung up during the tls handshake");
            return;
        }
        tracing::info!(peer = %addr, %error, "tls handshake failed");
        if let Some(certificate) = &error.refused {
            self.observer.refused(addr, certificate);
        }
    }

    fn service<S>(
        &self,
        inner: S,
        addr: SocketAddr,
        identity: Option<PeerIdentity>,
        tls: bool,
    ) -> PeerService<S> {
        let proxies = &self.settings.trusted_proxies;
        let peer = Peer {
            addr: Some(addr),
            identity,
            tls,
        };
        PeerService {
            inner,
            peer: Arc::new(peer),
            proxies: proxies.trusts(addr.ip()).then(|| Arc::clone(proxies)),
        }
    }

    async fn serve<IO, S, B>(
        &self,
        io: IO,
        number: u64,
        service: PeerService<S>,
        standing: Option<Standing>,
    ) -> End
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let peer = Arc::clone(&service.peer);
        let detected = tokio::select! {
            biased;
            () = self.shutdown.draining() => return End::Fair,
            () = lost(standing.as_ref(), &peer, &*self.observer) => return End::Fair,
            detected = timeout(Duration::from_millis(self.settings.header_timeout_ms), detect(io)) => detected,
        };
        // A client that says nothing or goes away is a health probe or a browser's spare connection.
        let Ok(Ok((protocol, io))) = detected else {
            return End::Fair;
        };
        let requests = RequestExecutor {
            shutdown: self.shutdown.clone(),
            write_timeout: write_timeout(&self.settings),
            open: OpenRequests::default(),
        };
        let ending = Ending::new(&self.settings, &self.shutdown, number);
        if let Some(standing) = standing {
            let (peer, observer) = (Arc::clone(&peer), Arc::clone(&self.observer));
            ending.cut_at(async move { lost(Some(&standing), &peer, &*observer).await });
        }
        let closed = match protocol {
            Protocol::Http1 => {
                let (io, cork) = cork(io, requests.open);
                let connection = self.http1.serve_connection(TokioIo::new(io), service);
                ending.drive(connection, cork).await
            }
            Protocol::Http2 => {
                self.watch_idle(&ending, requests.open.clone());
                let watched = FrameWatch::new(io, self.settings.control_frames_per_s_max);
                let (io, cork) = cork(watched, requests.open.clone());
                let http2 = http2_builder(&self.settings, requests);
                let connection = http2.serve_connection(TokioIo::new(io), service);
                ending.drive(connection, cork).await
            }
        };
        let Err(error) = closed else { return End::Fair };
        let end = if is_breach(&error) { End::Breach } else { End::Fair };
        let cause = std::error::Error::source(&error);
        tracing::debug!(peer = ?peer.addr, %error, ?cause, ?end, "connection ended with an error");
        end
    }

    /// Has the connection closed once there was no request for a time.
    fn watch_idle(&self, ending: &Ending, open: OpenRequests) {
        let limit = Duration::from_millis(self.settings.idle_timeout_ms);
        if !limit.is_zero() {
            ending.finish_at(async move { open.none_for(limit).await });
        }
    }
}

/// Resolves when the caller's certificate no longer holds, and says so; never for a caller without one.
async fn lost(standing: Option<&Standing>, peer: &Peer, observer: &dyn CertificateObserver) {
    let Some(standing) = standing else {
        return std::future::pending().await;
    };
    let reason = standing.lost().await;
    if let Some(addr) = peer.addr {
        observer.cut(addr, standing.identity(), reason);
    }
}

fn write_timeout(settings: &ServerSettings) -> Duration {
    Duration::from_millis(settings.write_timeout_ms.max(1))
}

fn http1_builder(settings: &ServerSettings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(settings.header_timeout_ms))
        .max_header_size(settings.header_bytes_max as usize);
    builder
}

fn http2_builder(settings: &ServerSettings, requests: RequestExecutor) -> http2::Builder<RequestExecutor> {
    let ping_interval = Duration::from_millis(settings.ping_interval_ms);
    let mut builder = http2::Builder::new(requests);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams_max)
        .max_header_list_size(settings.header_bytes_max)
        .max_local_error_reset_streams(settings.local_resets_max)
        .max_pending_accept_reset_streams(settings.pending_resets_max)
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes)
        .max_send_buf_size(settings.send_buffer_bytes)
        .keep_alive_interval((!ping_interval.is_zero()).then_some(ping_interval))
        .keep_alive_timeout(Duration::from_millis(settings.ping_timeout_ms));
    builder
}

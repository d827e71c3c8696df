//! The accept loop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::{BoxError, Service};

use super::connection::{Connections, End};
use super::descriptors;
use super::door::{Door, Guest, Refusal};
use super::observer::CertificateObserver;
use super::settings::ServerSettings;
use crate::shutdown::Shutdown;
use crate::tls::TlsSource;

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Troubles that are no further apart than this are one episode, and logged once.
const EPISODE_GAP: Duration = Duration::from_secs(10);

/// Serves a listener until `shutdown` drains, over TLS when `tls` is given and in the clear otherwise; HTTP/2
/// (with prior knowledge in the clear) and HTTP/1.1 both ways. Every request carries an `Arc<Peer>` in its
/// extensions.
///
/// Draining closes the listener, lets every connection finish its open requests, and closes it; what is still open
/// when `shutdown` aborts is cut off. Returns when the last connection is closed. `observer` is told of client certificates
/// that don't hold.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<Arc<TlsSource>>,
    service: S,
    settings: ServerSettings,
    shutdown: Shutdown,
    observer: Arc<dyn CertificateObserver>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let wanted = settings.connections_max.max(1);
    let connections_max = descriptors::connections_max(wanted);
    let slots = Slots::new(connections_max);
    // Where there are fewer places than wanted, the share of an address in them stays the same.
    let share =
        u64::from(settings.connections_per_address_max) * u64::from(connections_max) / u64::from(wanted);
    let door = Door::new(&settings, u32::try_from(share).unwrap_or(u32::MAX).max(1));
    let connections = Arc::new(Connections::new(tls, settings, shutdown.clone(), observer));
    let accepting = accept_all(&listener, &slots, &door, |tcp, addr, number, (guest, slot)| {
        let (connections, service) = (Arc::clone(&connections), service.clone());
        // Unstoppable, for a connection watches the shutdown itself, at less cost per request.
        shutdown.spawn_unstoppable("connection", async move {
            if connections.run(tcp, addr, number, service).await == End::Breach {
                guest.broke_the_rules();
            }
            drop((guest, slot));
        });
    });
    tokio::select! {
        biased;
        () = shutdown.draining() => {}
        () = accepting => {}
    }
    drop(listener);
    slots.all_free().await;
}

/// Accepts for ever.
async fn accept_all(
    listener: &TcpListener,
    slots: &Slots,
    door: &Arc<Door>,
    mut begin: impl FnMut(TcpStream, SocketAddr, u64, (Guest, OwnedSemaphorePermit)),
) {
    let mut trouble = Trouble::default();
    let mut crowding = Trouble::default();
    let mut greed = Trouble::default();
    let mut breaches = Trouble::default();
    let mut number = 0;
    // No slot, no accept: the rest waits in the kernel's backlog, where it costs us nothing and a short crowd gets
    // served late instead of refused. Accepting only to close would have every refused client connect again.
    while let Some(slot) = slots.take(&mut crowding).await {
        let (tcp, addr) = accept(listener, &mut trouble).await;
        match door.admit(addr) {
            Ok(guest) => {
                number += 1;
                begin(tcp, addr, number, (guest, slot));
            }
            Err(Refusal::Crowded) if greed.begins(Instant::now()) => {
                tracing::warn!(peer = %addr, "too many connections from one address; the next ones are closed (server.connections_per_address_max)");
            }
            Err(Refusal::ShutOut) if breaches.begins(Instant::now()) => {
                tracing::warn!(peer = %addr, "closed a connection from an address that has broken the rules of HTTP too often (server.breaches_per_address_max)");
            }
            Err(_) => {}
        }
    }
}

/// The next connection. Out of file descriptors or memory, the system fails at once and the connection stays in
/// the queue, so that trying again without a pause would spin.
async fn accept(listener: &TcpListener, trouble: &mut Trouble) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if trouble.begins(Instant::now()) {
                    tracing::error!(%error, "cannot accept connections; raise the limit of open files if it is that");
                }
                tokio::time::sleep(trouble.backoff()).await;
            }
        }
    }
}

/// Errors that a connection had before we got to it, which accept reports in its place (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    )
}

/// The connections that there may be at a time.
struct Slots {
    free: Arc<Semaphore>,
    max: u32,
}

impl Slots {
    fn new(max: u32) -> Self {
        let max = max.max(1);
        Self {
            free: Arc::new(Semaphore::new(max as usize)),
            max,
        }
    }

    /// A slot, as soon as there is one. None never comes: the semaphore is not closed.
    async fn take(&self, crowding: &mut Trouble) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(slot);
        }
        if crowding.begins(Instant::now()) {
            tracing::warn!(
                connections_max = self.max,
                "all connections are taken; new ones wait until one closes"
            );
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Resolves when no connection is left.
    async fn all_free(&self) {
        let _all = self.free.acquire_many(self.max).await;
    }
}

/// A row of troubles of one kind: tells the first of an episode, and how long to wait after each.
#[derive(Default)]
struct Trouble {
    last: Option<Instant>,
    delay: Duration,
}

impl Trouble {
    /// Notes a trouble; true when it is the first of an episode.
    fn begins(&mut self, now: Instant) -> bool {
        let first = self
            .last
            .is_none_or(|last| now.duration_since(last) > EPISODE_GAP);
        if first {
            self.delay = Duration::ZERO;
        }
        self.last = Some(now);
        first
    }

    /// Twice as long each time within an episode, up to a limit.
    fn backoff(&mut self) -> Duration {
        self.delay = (self.delay * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_backs_off_and_is_told_once_per_episode() {
        let mut trouble = Trouble::default();
        let start = Instant::now();
        assert!(trouble.begins(start));
        let mut delays = vec![trouble.backoff().as_millis()];
        for _ in 0..8 {
            assert!(!trouble.begins(start + Duration::from_secs(1)));
            delays.push(trouble.backoff().as_millis());
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        assert!(trouble.begins(start + Duration::from_secs(30)));
        assert_eq!(trouble.backoff(), BACKOFF_MIN);
    }

    #[test]
    fn only_the_fault_of_one_connection_is_passed_over() {
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        for exhausted in [EMFILE, ENFILE] {
            assert!(!is_of_one_connection(&io::Error::from_raw_os_error(exhausted)));
        }
    }
}

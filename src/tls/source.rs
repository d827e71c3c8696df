//! The TLS configuration in use, and how it follows its files.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::error::Error;
use super::files::Files;
use super::identity::PeerIdentity;
use super::refusal::{HandshakeError, RefusedCertificate, watched};
use super::server_config::{self, Current};
use super::settings::TlsSettings;
use super::standing::{Admissions, Review, Standing};
use crate::shutdown::Shutdown;

/// A connection after its handshake.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// The plain text side.
    pub stream: TlsStream<IO>,
    /// Who the caller is, if it showed a certificate.
    pub identity: Option<PeerIdentity>,
    /// That this certificate holds: to be kept and watched as long as the connection lives.
    pub standing: Option<Standing>,
}

/// The TLS configuration of one listener. New handshakes take the newest good one. Connections that are up keep the
/// one that they began with, as long as the newest would let their caller in.
#[derive(Debug)]
pub struct TlsSource {
    settings: TlsSettings,
    current: ArcSwap<Current>,
    admissions: Arc<Admissions>,
    /// The contents that were tried last, good or not; held while trying, so that two reloads do not race.
    tried: Mutex<u64>,
}

impl TlsSource {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When a file cannot be read or used; the error names the file and says what to do.
    pub async fn open(settings: TlsSettings) -> Result<Self, Error> {
        let files = Files::read(&settings).await;
        let current = server_config::build(&settings, &files)?;
        Ok(Self {
            settings,
            current: ArcSwap::new(current),
            admissions: Arc::default(),
            tried: Mutex::new(files.fingerprint()),
        })
    }

    /// Reads the files again now, whether they changed or not, and checks every open connection against them.
    ///
    /// # Errors
    /// When a file cannot be read or used; the configuration in use stays as it is then.
    pub async fn reload(&self) -> Result<(), Error> {
        let mut tried = self.tried.lock().await;
        let files = Files::read(&self.settings).await;
        *tried = files.fingerprint();
        self.current.store(server_config::build(&self.settings, &files)?);
        self.review(Review::All).await;
        Ok(())
    }

    /// Follows the files and the open connections in the background until draining begins, which ends the connections
    /// anyway. Does nothing when the interval is 0.
    pub fn watch(self: &Arc<Self>, shutdown: &Shutdown) {
        if self.settings.reload_interval_ms == 0 {
            return;
        }
        let source = Arc::clone(self);
        let ending = shutdown.clone();
        shutdown.spawn("tls reload", async move {
            let interval = Duration::from_millis(source.settings.reload_interval_ms);
            loop {
                tokio::select! {
                    () = ending.draining() => return,
                    () = tokio::time::sleep(interval) => source.reload_if_changed().await,
                }
            }
        });
    }

    /// One look at the files. A broken state of them is logged when it appears, not every time it is seen: while
    /// certificate and key are replaced one after the other, they do not match for a moment.
    async fn reload_if_changed(&self) {
        let mut tried = self.tried.lock().await;
        let files = Files::read(&self.settings).await;
        let fingerprint = files.fingerprint();
        let has_changed = fingerprint != *tried;
        *tried = fingerprint;
        let cert_file = self.settings.cert_file.display();
        let review = match has_changed.then(|| server_config::build(&self.settings, &files)) {
            None => Review::Ended,
            Some(Ok(current)) => {
                self.current.store(current);
                tracing::info!(%cert_file, "tls files changed; new connections use the new ones");
                Review::All
            }
            Some(Err(error)) => {
                tracing::warn!(%cert_file, %error, "tls files changed but cannot be used; the old ones stay");
                Review::Ended
            }
        };
        self.review(review).await;
    }

    async fn review(&self, review: Review) {
        if let Some(verifier) = &self.current.load_full().verifier {
            self.admissions.review(review, verifier).await;
        }
    }

    /// The configuration that the next handshake will use.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// Takes a connection through its handshake. It sets no time limit; the caller does.
    ///
    /// # Errors
    /// When the handshake fails, which includes a certificate that is missing, bad, revoked or names nobody: then the error
    /// says which one.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let begun = self.current.load_full();
        let acceptor = TlsAcceptor::from(Arc::clone(&begun.config));
        let stream = watched(acceptor.accept(io)).await?;
        let (Some(verifier), Some(chain @ [own, ..])) =
            (&begun.verifier, stream.get_ref().1.peer_certificates())
        else {
            return Ok(Accepted {
                stream,
                identity: None,
                standing: None,
            });
        };
        // The verifier has seen to it that there is one; to go on without would be to let in a stranger.
        let identity = verifier
            .identity(own)
            .ok_or_else(|| refused("has no name that counts", None, "no-name"))?;
        let standing = self.admissions.admit(identity.clone(), chain.to_vec());
        // Files that changed during the handshake: the review that followed may have come too early for this one.
        let current = self.current.load_full();
        if !Arc::ptr_eq(&begun, &current)
            && let Some(verifier) = &current.verifier
            && let Some(reason) = standing.fails_under(verifier)
        {
            return Err(refused(
                "stopped holding during the handshake",
                Some(identity),
                reason,
            ));
        }
        Ok(Accepted {
            stream,
            identity: Some(identity),
            standing: Some(standing),
        })
    }
}

fn refused(why: &str, identity: Option<PeerIdentity>, reason: &'static str) -> HandshakeError {
    HandshakeError {
        cause: io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the client certificate {why}"),
        ),
        refused: Some(RefusedCertificate {
            fingerprint: identity.as_ref().map(|identity| *identity.fingerprint()),
            identity,
            reason,
        }),
    }
}

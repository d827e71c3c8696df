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
use super::server_config;
use super::settings::TlsSettings;
use crate::shutdown::Shutdown;

/// A connection after its handshake.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// The plain text side.
    pub stream: TlsStream<IO>,
    /// Who the caller is, if it showed a certificate.
    pub identity: Option<PeerIdentity>,
}

/// The TLS configuration of one listener. New handshakes take the newest good one; connections that are up keep
/// the one that they began with.
#[derive(Debug)]
pub struct TlsSource {
    settings: TlsSettings,
    current: ArcSwap<ServerConfig>,
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
        let config = server_config::build(&settings, &files)?;
        Ok(Self {
            settings,
            current: ArcSwap::new(config),
            tried: Mutex::new(files.fingerprint()),
        })
    }

    /// Reads the files again now, whether they changed or not.
    ///
    /// # Errors
    /// When a file cannot be read or used; the configuration in use stays as it is then.
    pub async fn reload(&self) -> Result<(), Error> {
        let mut tried = self.tried.lock().await;
        let files = Files::read(&self.settings).await;
        *tried = files.fingerprint();
        self.current.store(server_config::build(&self.settings, &files)?);
        Ok(())
    }

    /// Follows the files in the background until draining begins. Does nothing when the interval is 0.
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
        if fingerprint == *tried {
            return;
        }
        *tried = fingerprint;
        let cert_file = self.settings.cert_file.display();
        match server_config::build(&self.settings, &files) {
            Ok(config) => {
                self.current.store(config);
                tracing::info!(%cert_file, "tls files changed; new connections use the new ones");
            }
            Err(error) => {
                tracing::warn!(%cert_file, %error, "tls files changed but cannot be used; the old ones stay")
            }
        }
    }

    /// The configuration that the next handshake will use.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Takes a connection through its handshake. It sets no time limit; the caller does.
    ///
    /// # Errors
    /// When the handshake fails, which includes a certificate that is missing, bad, revoked or names nobody.
    pub async fn accept<IO>(&self, io: IO) -> io::Result<Accepted<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(self.server_config()).accept(io).await?;
        let identity = match stream.get_ref().1.peer_certificates() {
            // The verifier has seen to it that there is one; to go on without would be to let in a stranger.
            Some([own, ..]) => Some(PeerIdentity::from_der(own).ok_or_else(nameless)?),
            _ => None,
        };
        Ok(Accepted { stream, identity })
    }
}

fn nameless() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the client certificate has no usable identity",
    )
}

//! TLS as a client: for our own command line, for calls to other agents and for requests to the web.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::error::Error;
use super::{files, server_config};

/// The files that a client needs: whom it trusts, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that the server's certificate must come from, in PEM form.
    pub ca_file: PathBuf,
    /// The client's certificate chain, its own first, in PEM form; only together with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The private key of the client's certificate, in PEM form.
    pub key_file: Option<PathBuf>,
}

impl ClientTls {
    /// The rustls form. `alpn` lists the protocols that the caller can speak, such as `h2`.
    ///
    /// # Errors
    /// When a file cannot be read or used, or only one of certificate and key is given.
    pub async fn rustls(&self, alpn: &[&str]) -> Result<ClientConfig, Error> {
        let roots = server_config::roots(&files::read(&self.ca_file).await)?;
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .map_err(Error::Policy)?
            .with_root_certificates(Arc::new(roots));
        let mut config = match (&self.cert_file, &self.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert_file), Some(key_file)) => {
                let chain: Vec<CertificateDer<'static>> = files::read(cert_file).await.all("certificate")?;
                let key: PrivateKeyDer<'static> = files::read(key_file).await.one("private key")?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| Error::KeyPair {
                        cert_file: cert_file.clone(),
                        key_file: key_file.clone(),
                        source,
                    })?
            }
            _ => return Err(Error::HalfKeyPair),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }

    /// The tonic form, for a gRPC channel. The server's name is taken from the address unless the caller sets
    /// another with `domain_name`.
    ///
    /// # Errors
    /// As for [`ClientTls::rustls`], which checks the files first because tonic would not name them.
    pub async fn tonic(&self) -> Result<ClientTlsConfig, Error> {
        self.rustls(&[]).await?;
        let text = |file: PathBuf| async move {
            tokio::fs::read(&file)
                .await
                .map_err(|source| Error::Read { file, source })
        };
        let config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text(self.ca_file.clone()).await?));
        match (&self.cert_file, &self.key_file) {
            (Some(cert_file), Some(key_file)) => {
                let identity =
                    Identity::from_pem(text(cert_file.clone()).await?, text(key_file.clone()).await?);
                Ok(config.identity(identity))
            }
            _ => Ok(config),
        }
    }
}

/// For hosts of the web: the authorities of the system, and those of a file if there is one. `alpn` lists the protocols
/// that the caller can speak. A system without authorities is logged and no error: the file may be all that is needed.
///
/// # Errors
/// When the file cannot be read or used.
pub async fn web_client(ca_file: Option<&Path>, alpn: &[&str]) -> Result<ClientConfig, Error> {
    let mut roots = match ca_file {
        Some(ca_file) => server_config::roots(&files::read(ca_file).await)?,
        None => RootCertStore::empty(),
    };
    // They are files, hundreds of them on some systems.
    let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let certificates = native.map(|native| native.certs).unwrap_or_default();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        tracing::warn!("this system has no authorities for certificates of the web; install ca-certificates");
    }
    let mut config = ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::Policy)?
        .with_root_certificates(Arc::new(roots))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

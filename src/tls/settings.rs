//! What an operator may choose about TLS on a listener.

use std::path::{Path, PathBuf};

/// Whether callers must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Every caller shows a certificate from our client CA; a handshake without one fails.
    #[default]
    Required,
    /// A caller may show a certificate; one that is shown must be good. Callers without one are anonymous, or
    /// known by another credential further up.
    Optional,
    /// No certificate is asked for.
    Off,
}

/// The TLS files and policy of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The server's certificate chain in PEM form: its own certificate first, then the intermediates.
    pub cert_file: PathBuf,
    /// The private key of the first certificate, in PEM form (PKCS#8, SEC1 or PKCS#1).
    pub key_file: PathBuf,
    /// The authorities that may issue client certificates, in PEM form. Needed unless `client_certificates` is
    /// [`ClientCertificates::Off`].
    pub client_ca_file: Option<PathBuf>,
    /// Whether callers must show a certificate.
    pub client_certificates: ClientCertificates,
    /// Revocation lists for client certificates, in PEM form, one or more per file. When there is any list, every
    /// authority in a client's chain needs one: a certificate of unknown standing is refused.
    pub crl_files: Vec<PathBuf>,
    /// Takes TLS 1.2 as well. Off by default: only TLS 1.3.
    pub allow_tls12: bool,
    /// How often the files are looked at for changes, in milliseconds; 0 reads them only at the start.
    pub reload_interval_ms: u64,
}

impl TlsSettings {
    /// How often files are looked at unless told otherwise, in milliseconds.
    pub const RELOAD_INTERVAL_MS: u64 = 5_000;

    /// A listener that proves who it is and asks its callers for nothing.
    pub fn server_only(cert_file: impl AsRef<Path>, key_file: impl AsRef<Path>) -> Self {
        Self {
            cert_file: cert_file.as_ref().to_owned(),
            key_file: key_file.as_ref().to_owned(),
            client_ca_file: None,
            client_certificates: ClientCertificates::Off,
            crl_files: Vec::new(),
            allow_tls12: false,
            reload_interval_ms: Self::RELOAD_INTERVAL_MS,
        }
    }

    /// A listener for mutual TLS: every caller shows a certificate issued under `client_ca_file`.
    pub fn mutual(
        cert_file: impl AsRef<Path>,
        key_file: impl AsRef<Path>,
        client_ca_file: impl AsRef<Path>,
    ) -> Self {
        Self {
            client_ca_file: Some(client_ca_file.as_ref().to_owned()),
            client_certificates: ClientCertificates::Required,
            ..Self::server_only(cert_file, key_file)
        }
    }
}

//! What an operator may choose about TLS on a listener.

use std::collections::BTreeMap;
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

/// Which name of a client's certificate says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientNames {
    /// The SPIFFE id where there is one, else the first DNS name.
    #[default]
    SpiffeOrDns,
    /// The SPIFFE id of an X.509-SVID: exactly one URI name, of a trust domain that is listed, in a certificate whose
    /// key may sign handshakes and issue nothing.
    Spiffe,
    /// The DNS name, of which there must be exactly one. URI names do not count.
    Dns,
}

/// Who may issue certificates, and what was revoked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Their certificates, in PEM form.
    pub ca_file: PathBuf,
    /// Their revocation lists, in PEM form, one or more per file. When there is any list, every authority in a
    /// client's chain needs one: a certificate of unknown standing is refused.
    pub crl_files: Vec<PathBuf>,
}

/// The TLS files and policy of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The server's certificate chain in PEM form: its own certificate first, then the intermediates.
    pub cert_file: PathBuf,
    /// The private key of the first certificate, in PEM form (PKCS#8, SEC1 or PKCS#1).
    pub key_file: PathBuf,
    /// The authorities that may issue client certificates, in PEM form: for DNS names, and for SPIFFE ids unless
    /// their trust domain has authorities of its own. Needed unless `client_certificates` is
    /// [`ClientCertificates::Off`] or every name belongs to such a trust domain.
    pub client_ca_file: Option<PathBuf>,
    /// Whether callers must show a certificate.
    pub client_certificates: ClientCertificates,
    /// Which name of a certificate says who the client is.
    pub client_names: ClientNames,
    /// The trust domains whose SPIFFE ids are taken, each with authorities of its own or, with none, under
    /// `client_ca_file`. When it is empty, any trust domain is taken that `client_ca_file` vouches for, which
    /// [`ClientNames::Spiffe`] does not allow. An authority of one trust domain names no members of another.
    pub trust_domains: BTreeMap<String, Option<Authorities>>,
    /// Revocation lists of the authorities in `client_ca_file`; as [`Authorities::crl_files`].
    pub crl_files: Vec<PathBuf>,
    /// Takes TLS 1.2 as well. Off by default: only TLS 1.3.
    pub allow_tls12: bool,
    /// How often the files are looked at for changes, in milliseconds; 0 reads them only at the start. Open
    /// connections are held against them as often: one whose certificate was revoked, has expired or lost its
    /// authority is closed.
    pub reload_interval_ms: u64,
}

impl TlsSettings {
    /// How often files are looked at unless told otherwise, in milliseconds.
    pub const RELOAD_INTERVAL_MS: u64 = 5_000;

    /// The authorities of `client_ca_file` with their lists, if there are any.
    pub(super) fn client_authorities(&self) -> Option<Authorities> {
        Some(Authorities {
            ca_file: self.client_ca_file.clone()?,
            crl_files: self.crl_files.clone(),
        })
    }

    /// A listener that proves who it is and asks its callers for nothing.
    pub fn server_only(cert_file: impl AsRef<Path>, key_file: impl AsRef<Path>) -> Self {
        Self {
            cert_file: cert_file.as_ref().to_owned(),
            key_file: key_file.as_ref().to_owned(),
            client_ca_file: None,
            client_certificates: ClientCertificates::Off,
            client_names: ClientNames::default(),
            trust_domains: BTreeMap::new(),
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

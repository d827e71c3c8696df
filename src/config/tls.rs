//! `[tls]`: the server's certificate and who may connect.

use std::path::PathBuf;

use super::schema::{choice, section};

choice! {
    /// Whether a client has to show a certificate.
    pub enum ClientCertificates {
        /// Mutual TLS: without a certificate signed by `client_ca_file` there is no connection.
        Required = "required",
        /// A certificate is checked when it is shown; callers may come by another credential.
        Optional = "optional",
        /// No certificate is asked for.
        Off = "off",
    }
}

section! {
    /// TLS of the listening socket; on as soon as `cert_file` is set. Relative paths start at the working directory.
    pub struct Tls {
        /// PEM file with the server's certificate and the chain above it. Setting it turns TLS on.
        cert_file: Option<PathBuf> = None;
        /// PEM file with the private key of `cert_file`; readable by the service's user only.
        key_file: Option<PathBuf> = None;
        /// PEM file with the authorities that sign client certificates. Needed unless client_certificates is "off".
        client_ca_file: Option<PathBuf> = None;
        /// Whether clients show a certificate: "required" (mutual TLS), "optional" or "off".
        client_certificates: ClientCertificates = ClientCertificates::Required;
        /// PEM files with certificate revocation lists; a client on one of them is turned away.
        crl_files: Vec<PathBuf> = Vec::new();
        /// Accepts TLS 1.2 beside 1.3, for old clients only.
        allow_tls12: bool = false;
        /// Milliseconds between looks at these files: new certificates and revocations take effect without a restart.
        reload_interval_ms: u64 = 5_000, 10..=3_600_000;
    }
}

impl Tls {
    /// True when the socket speaks TLS.
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some()
    }
}

//! What can be wrong with TLS files, each with the file and what to do about it.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

/// Why TLS could not be set up, or development certificates not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and that this user may read it", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should, in PEM form.
    #[error("{} holds no usable {what}: {reason}; it must be PEM text with a BEGIN line for it", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What was looked for in it.
        what: &'static str,
        /// What was found instead.
        reason: String,
    },
    /// Certificate and key do not work together.
    #[error(
        "{} and {} cannot be used together: {source}; the key must belong to the first certificate of the file",
        cert_file.display(), key_file.display()
    )]
    KeyPair {
        /// The certificate chain.
        cert_file: PathBuf,
        /// The private key.
        key_file: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// Client certificates are asked for, and nobody may issue them.
    #[error("client certificates are asked for: set client_ca_file, or set client_certificates to off")]
    ClientCaMissing,
    /// SPIFFE ids alone shall count, and nobody said which trust domains.
    #[error("only SPIFFE ids count as names of clients: list the trust domains that they may be of")]
    TrustDomainsMissing,
    /// The authorities or the revocation lists cannot be used.
    #[error("{} cannot be used to verify certificates: {reason}; replace it with the authority's own file", file.display())]
    Authority {
        /// The file of the authorities.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A client certificate was given without its key, or the key without the certificate.
    #[error("a client certificate and its key belong together: set both files, or neither")]
    HalfKeyPair,
    /// rustls refuses the policy as a whole.
    #[error("the TLS settings cannot be used: {0}")]
    Policy(rustls::Error),
    /// A file exists already and would be overwritten.
    #[error("{} exists already; choose another directory, or overwrite it by force", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check that the directory can be written to", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate cannot be made from these names or dates.
    #[error("cannot make the certificate: {0}; check its names and dates")]
    Generate(#[from] rcgen::Error),
}

impl Error {
    /// `what` was not found in `file`.
    pub(super) fn pem(file: &Path, what: &'static str, found: &pem::Error) -> Self {
        let reason = match found {
            pem::Error::NoItemsFound => "there is none in it".to_owned(),
            other => other.to_string(),
        };
        Self::Pem {
            file: file.to_owned(),
            what,
            reason,
        }
    }

    /// The authorities or lists of `file` are refused.
    pub(super) fn authority(file: &Path, reason: impl ToString) -> Self {
        Self::Authority {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }
}

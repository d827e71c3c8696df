//! Why a client certificate does not hold, in one word for records, and what a client showed in a handshake that failed.
//!
//! A handshake that fails leaves nothing but an error, which does not say whose certificate it was. So the check notes what
//! it has looked at with the handshake that it is a part of.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::{CertificateError, Error};

use super::identity::PeerIdentity;

/// A check that a certificate has not passed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) error: Error,
}

impl Refusal {
    pub(super) fn by(error: Error) -> Self {
        Self {
            reason: reason(&error).unwrap_or(OTHER),
            error,
        }
    }
}

/// A client certificate that was refused in a handshake, or missing where one is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCertificate {
    /// Who it says its holder is. Nothing has proved that.
    pub identity: Option<PeerIdentity>,
    /// The SHA-256 of the whole certificate; `None` where none was shown.
    pub fingerprint: Option<[u8; 32]>,
    /// What is wrong, as a fixed word: `revoked`, `expired`, `unknown-issuer` and so on.
    pub reason: &'static str,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct HandshakeError {
    /// What went wrong.
    pub cause: io::Error,
    /// The certificate, if it was that.
    pub refused: Option<RefusedCertificate>,
}

/// What was shown in one handshake.
#[derive(Debug, Default)]
struct Shown {
    identity: Option<PeerIdentity>,
    fingerprint: [u8; 32],
    reason: Option<&'static str>,
}

tokio::task_local! {
    static SHOWN: Arc<OnceLock<Shown>>;
}

/// Notes what the handshake that is going on has shown, and why it does not pass, if it does not.
pub(super) fn note(certificate: &[u8], identity: Option<PeerIdentity>, refusal: Option<&Refusal>) {
    // Outside of a handshake there is nobody to tell.
    let _ = SHOWN.try_with(|shown| {
        shown.get_or_init(|| {
            let mut fingerprint = [0; 32];
            match &identity {
                Some(identity) => fingerprint = *identity.fingerprint(),
                None => fingerprint.copy_from_slice(digest(&SHA256, certificate).as_ref()),
            }
            Shown {
                identity,
                fingerprint,
                reason: refusal.map(|refusal| refusal.reason),
            }
        });
    });
}

/// Runs a handshake; its error says which certificate was refused, if one was.
pub(super) async fn watched<T>(handshake: impl Future<Output = io::Result<T>>) -> Result<T, HandshakeError> {
    let shown = Arc::<OnceLock<Shown>>::default();
    let done = SHOWN.scope(Arc::clone(&shown), handshake).await;
    done.map_err(|cause| {
        let error = cause.get_ref().and_then(|cause| cause.downcast_ref());
        let refused = error.and_then(reason).map(|reason| match shown.get() {
            Some(shown) => RefusedCertificate {
                identity: shown.identity.clone(),
                fingerprint: Some(shown.fingerprint),
                reason: shown.reason.unwrap_or(reason),
            },
            None => RefusedCertificate {
                identity: None,
                fingerprint: None,
                reason,
            },
        });
        HandshakeError { cause, refused }
    })
}

/// The word for what is wrong with a certificate that has no word of its own.
const OTHER: &str = "refused";

/// The word for what is wrong with a client's certificate; `None` when it is something else that went wrong.
fn reason(error: &Error) -> Option<&'static str> {
    use CertificateError as Wrong;
    Some(match error {
        Error::NoCertificatesPresented => "missing",
        Error::InvalidCertificate(wrong) => match wrong {
            Wrong::Revoked => "revoked",
            Wrong::Expired | Wrong::ExpiredContext { .. } => "expired",
            Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "not-yet-valid",
            Wrong::UnknownIssuer => "unknown-issuer",
            Wrong::BadSignature => "signature",
            Wrong::BadEncoding => "malformed",
            Wrong::UnknownRevocationStatus
            | Wrong::ExpiredRevocationList
            | Wrong::ExpiredRevocationListContext { .. } => "unknown-revocation-status",
            Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => "purpose",
            _ => OTHER,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_wrong_with_a_certificate_is_said_of_one() {
        let fails =
            |error: Error| watched::<()>(async { Err(io::Error::new(io::ErrorKind::InvalidData, error)) });
        let other = fails(Error::DecryptError).await.unwrap_err();
        assert_eq!(other.refused, None, "{other}");
        let missing = fails(Error::NoCertificatesPresented).await.unwrap_err().refused;
        let missing = missing.unwrap();
        assert_eq!((missing.reason, missing.fingerprint), ("missing", None));
        let revoked = watched::<()>(async {
            note(b"a certificate", None, None);
            let error = Error::from(CertificateError::Revoked);
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        });
        let revoked = revoked.await.unwrap_err().refused.unwrap();
        assert_eq!(revoked.reason, "revoked");
        assert_eq!(
            revoked.fingerprint.unwrap(),
            digest(&SHA256, b"a certificate").as_ref()
        );
        assert_eq!(Refusal::by(Error::DecryptError).reason, OTHER);
    }
}

//! The certificates that open connections were let in with, and whether they still hold.
//!
//! A handshake proves something about one moment. What it proved ends when the certificate is revoked, when its time is
//! over, or when its authority is no longer trusted; a stream that began before may be open for hours after.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio_util::sync::CancellationToken;

use super::identity::PeerIdentity;
use super::verifier::IdentityVerifier;

/// What one caller showed in its handshake.
#[derive(Debug)]
struct Admitted {
    identity: PeerIdentity,
    /// As it was shown, the caller's own certificate first.
    chain: Vec<CertificateDer<'static>>,
    /// The first end of one of them, in seconds of the Unix epoch.
    ends: u64,
    lost: CancellationToken,
    /// Why it is lost, as a fixed word; set before it is.
    reason: OnceLock<&'static str>,
}

/// All who were let in and are still here.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    open: DashMap<u64, Arc<Admitted>>,
    next: AtomicU64,
}

/// Whom to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// Everybody: what counts has changed.
    All,
    /// Only those who showed a certificate whose time is over.
    Ended,
}

impl Admissions {
    /// Notes a caller who has just been let in.
    pub(super) fn admit(
        self: &Arc<Self>,
        identity: PeerIdentity,
        chain: Vec<CertificateDer<'static>>,
    ) -> Standing {
        let ends = chain.iter().map(|certificate| end_of(certificate)).min();
        let admitted = Arc::new(Admitted {
            identity,
            chain,
            ends: ends.unwrap_or(0),
            lost: CancellationToken::new(),
            reason: OnceLock::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.insert(number, Arc::clone(&admitted));
        Standing {
            admissions: Arc::clone(self),
            number,
            admitted,
        }
    }

    /// Checks callers again, and tells the connections of those whose certificate no longer holds.
    pub(super) async fn review(&self, review: Review, verifier: &IdentityVerifier) {
        let now = UnixTime::now();
        // A list of its own: no lock of the map is held while signatures are checked.
        let callers: Vec<Arc<Admitted>> = self
            .open
            .iter()
            .filter(|caller| review == Review::All || caller.ends < now.as_secs())
            .map(|caller| Arc::clone(&caller))
            .collect();
        for caller in callers {
            caller.check(verifier, now);
            // Two signatures each, the list's among them: requests go in between.
            tokio::task::yield_now().await;
        }
    }
}

impl Admitted {
    fn check(&self, verifier: &IdentityVerifier, now: UnixTime) {
        let Err(refusal) = verifier.check(&self.chain, now) else {
            return;
        };
        // Its connection may take a moment to go, and is told once.
        if self.reason.set(refusal.reason).is_ok() {
            tracing::info!(identity = %self.identity, error = %refusal, "a certificate no longer holds; its connection is cut");
            self.lost.cancel();
        }
    }
}

/// That the certificate of one connection holds. Ends with the connection.
#[derive(Debug)]
pub struct Standing {
    admissions: Arc<Admissions>,
    number: u64,
    admitted: Arc<Admitted>,
}

impl Standing {
    /// Resolves when the certificate no longer holds, with the reason as a fixed word. It never holds again then.
    pub async fn lost(&self) -> &'static str {
        self.admitted.lost.cancelled().await;
        self.admitted.reason.get().copied().unwrap_or_default()
    }

    /// Who the caller is.
    pub fn identity(&self) -> &PeerIdentity {
        &self.admitted.identity
    }

    /// Checks this one again; the reason why it does not hold, if it does not.
    pub(super) fn fails_under(&self, verifier: &IdentityVerifier) -> Option<&'static str> {
        self.admitted.check(verifier, UnixTime::now());
        self.admitted.reason.get().copied()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.admissions.open.remove(&self.number);
    }
}

/// When a certificate ends. One that cannot be read is as good as ended: it is checked each time.
fn end_of(certificate: &[u8]) -> u64 {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok((_, certificate)) => certificate
            .validity()
            .not_after
            .timestamp()
            .try_into()
            .unwrap_or(0),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::tls::ClientNames;
    use crate::tls::dev::{DevCa, Names, Validity};

    #[test]
    fn a_caller_is_known_until_it_leaves() {
        let validity = Validity::days(1);
        let ca = DevCa::generate("test CA", validity).unwrap();
        let issued = ca
            .issue_client(&Names::spiffe("spiffe://example.org/a"), validity)
            .unwrap();
        let certificate = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
        let identity = PeerIdentity::from_der(&certificate, ClientNames::Spiffe).unwrap();
        let admissions = Arc::new(Admissions::default());
        let standing = admissions.admit(identity.clone(), vec![certificate.clone()]);
        let ends = u64::try_from(validity.not_after.unix_timestamp()).unwrap();
        assert_eq!(standing.admitted.ends, ends);
        let other = admissions.admit(identity, vec![certificate, CertificateDer::from(vec![0])]);
        assert_eq!(
            other.admitted.ends, 0,
            "what cannot be read is checked at each look"
        );
        assert_eq!(admissions.open.len(), 2);
        drop((standing, other));
        assert!(admissions.open.is_empty());
    }
}

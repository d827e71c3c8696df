//! The check of client certificates: the name by our own rule, then the chain by webpki, against the authorities that
//! may vouch for such a name and no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::identity::PeerIdentity;
use super::refusal::{Refusal, note};
use super::settings::ClientNames;

/// A check of chains: some authorities with their revocation lists.
pub(super) type ChainVerifier = Arc<dyn ClientCertVerifier>;

/// Refuses, in the handshake, certificates that are good but name nobody whom their authority may name.
///
/// This holds where certificates are optional too: whoever shows one wants to be known by it, and to take such a
/// caller as anonymous would file its tasks, unnoticed, under an owner that everybody shares.
#[derive(Debug)]
pub(super) struct IdentityVerifier {
    names: ClientNames,
    is_mandatory: bool,
    /// For DNS names, and for SPIFFE ids where no trust domains are listed.
    shared: Option<ChainVerifier>,
    /// By trust domain. One that stands under the shared authorities is listed with them.
    trust_domains: BTreeMap<String, ChainVerifier>,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl IdentityVerifier {
    pub(super) fn new(
        names: ClientNames,
        is_mandatory: bool,
        shared: Option<ChainVerifier>,
        trust_domains: BTreeMap<String, ChainVerifier>,
    ) -> Self {
        // Clients choose by these names which certificate to show, so all of them are told.
        let mut hints: Vec<DistinguishedName> = Vec::new();
        for verifier in shared.iter().chain(trust_domains.values()) {
            for hint in verifier.root_hint_subjects() {
                if !hints.iter().any(|known| known.as_ref() == hint.as_ref()) {
                    hints.push(hint.clone());
                }
            }
        }
        Self {
            names,
            is_mandatory,
            shared,
            trust_domains,
            hints,
            algorithms: super::provider().signature_verification_algorithms,
        }
    }

    /// Who the certificate says its holder is, by the rule of this listener; a claim until it is verified.
    pub(super) fn identity(&self, certificate: &[u8]) -> Option<PeerIdentity> {
        PeerIdentity::from_der(certificate, self.names)
    }

    /// Whether a whole chain, its own certificate first, holds now.
    pub(super) fn check(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refusal> {
        let Some((own, intermediates)) = chain.split_first() else {
            return Err(Refusal::by(Error::NoCertificatesPresented));
        };
        let identity = self.identity(own);
        self.judge(own, identity.as_ref(), intermediates, now).map(|_| ())
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        identity: Option<&PeerIdentity>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Refusal> {
        let refused = |reason| Refusal {
            reason,
            error: CertificateError::ApplicationVerificationFailure.into(),
        };
        let Some(identity) = identity else {
            tracing::info!(names = ?self.names, "a client certificate has no name that counts; see tls.client_names");
            return Err(refused("no-name"));
        };
        let Some(authorities) = self.authorities_for(identity) else {
            tracing::info!(%identity, "a client certificate is of a trust domain that tls.trust_domains does not list");
            return Err(refused("unknown-trust-domain"));
        };
        let verified = authorities.verify_client_cert(own, intermediates, now);
        verified.map_err(Refusal::by)
    }

    /// The authorities that may vouch for this name. The name is only a claim here; what makes it true is that just these
    /// are asked.
    fn authorities_for(&self, identity: &PeerIdentity) -> Option<&ChainVerifier> {
        match identity.trust_domain() {
            Some(domain) if !self.trust_domains.is_empty() => self.trust_domains.get(domain),
            _ => self.shared.as_ref(),
        }
    }
}

impl ClientCertVerifier for IdentityVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let identity = self.identity(end_entity);
        let verified = self.judge(end_entity, identity.as_ref(), intermediates, now);
        note(end_entity, identity, verified.as_ref().err());
        verified.map_err(|refusal| refusal.error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

//! From files and policy to the configuration that rustls serves with.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::error::Error;
use super::files::{AuthorityFiles, FileBytes, Files};
use super::settings::{ClientCertificates, ClientNames, TlsSettings};
use super::verifier::{ChainVerifier, IdentityVerifier};

/// What a listener takes handshakes with, and holds open connections against.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) config: Arc<ServerConfig>,
    /// None where no certificates are asked for.
    pub(super) verifier: Option<Arc<IdentityVerifier>>,
}

/// Builds the configuration of a listener, or says which file is wrong.
pub(super) fn build(settings: &TlsSettings, files: &Files) -> Result<Arc<Current>, Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = if settings.allow_tls12 {
        &[&TLS13, &TLS12]
    } else {
        &[&TLS13]
    };
    let builder = ServerConfig::builder_with_provider(super::provider())
        .with_protocol_versions(versions)
        .map_err(Error::Policy)?;
    let verifier = verifier(settings, files)?;
    let builder = match &verifier {
        Some(verifier) => {
            builder.with_client_cert_verifier(Arc::clone(verifier) as Arc<dyn ClientCertVerifier>)
        }
        None => builder.with_no_client_auth(),
    };
    let chain = files.cert.all("certificate")?;
    let key = files.key.one("private key")?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| Error::KeyPair {
            cert_file: settings.cert_file.clone(),
            key_file: settings.key_file.clone(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Early data can be replayed; none of our calls would survive that unharmed.
    config.max_early_data_size = 0;
    if verifier.is_some() {
        // A resumed session brings its old certificate along unchecked: an identity must come from a check that
        // has just been made, so that expiry and revocation hold for every new connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(Current {
        config: Arc::new(config),
        verifier,
    }))
}

fn verifier(settings: &TlsSettings, files: &Files) -> Result<Option<Arc<IdentityVerifier>>, Error> {
    let is_mandatory = match settings.client_certificates {
        ClientCertificates::Off => return Ok(None),
        ClientCertificates::Optional => false,
        ClientCertificates::Required => true,
    };
    if settings.client_names == ClientNames::Spiffe && settings.trust_domains.is_empty() {
        return Err(Error::TrustDomainsMissing);
    }
    let shared = files.client.as_ref().map(chain_verifier).transpose()?;
    if shared.is_none() && settings.client_names != ClientNames::Spiffe {
        return Err(Error::ClientCaMissing);
    }
    let mut trust_domains = BTreeMap::new();
    for name in settings.trust_domains.keys() {
        let verifier = match (files.trust_domains.get(name), &shared) {
            (Some(own), _) => chain_verifier(own)?,
            (None, Some(shared)) => Arc::clone(shared),
            (None, None) => return Err(Error::ClientCaMissing),
        };
        trust_domains.insert(name.clone(), verifier);
    }
    let verifier = IdentityVerifier::new(settings.client_names, is_mandatory, shared, trust_domains);
    Ok(Some(Arc::new(verifier)))
}

/// The check against some authorities and their lists.
fn chain_verifier(files: &AuthorityFiles) -> Result<ChainVerifier, Error> {
    let mut crls = Vec::new();
    for file in &files.crls {
        crls.extend(file.all("certificate revocation list (X509 CRL)")?);
    }
    let refused = |error| Error::authority(files.crls.first().unwrap_or(&files.ca).path(), error);
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&files.ca)?), super::provider())
        .with_crls(crls)
        .build()
        .map_err(refused)
}

/// The trust anchors in a file; each of its certificates must be usable as one.
pub(super) fn roots(file: &FileBytes) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in file.all("certificate")? {
        roots
            .add(certificate)
            .map_err(|error| Error::authority(file.path(), error))?;
    }
    Ok(roots)
}

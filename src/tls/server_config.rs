//! From files and policy to the configuration that rustls serves with.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::error::Error;
use super::files::{FileBytes, Files};
use super::settings::{ClientCertificates, TlsSettings};
use super::verifier::IdentityVerifier;

/// Builds the configuration of a listener, or says which file is wrong.
pub(super) fn build(settings: &TlsSettings, files: &Files) -> Result<Arc<ServerConfig>, Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = if settings.allow_tls12 {
        &[&TLS13, &TLS12]
    } else {
        &[&TLS13]
    };
    let builder = ServerConfig::builder_with_provider(super::provider())
        .with_protocol_versions(versions)
        .map_err(Error::Policy)?;
    let verifier = verifier(settings, files)?;
    let verifies = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
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
    if verifies {
        // A resumed session brings its old certificate along unchecked: an identity must come from a check that
        // has just been made, so that expiry and revocation hold for every new connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn verifier(settings: &TlsSettings, files: &Files) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
    if settings.client_certificates == ClientCertificates::Off {
        return Ok(None);
    }
    let authorities = files.client_ca.as_ref().ok_or(Error::ClientCaMissing)?;
    let mut crls = Vec::new();
    for file in &files.crls {
        crls.extend(file.all("certificate revocation list (X509 CRL)")?);
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), super::provider())
            .with_crls(crls);
    let builder = match settings.client_certificates {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Required | ClientCertificates::Off => builder,
    };
    let refused = |error| match files.crls.first() {
        Some(list) => Error::authority(list.path(), error),
        None => Error::authority(authorities.path(), error),
    };
    let webpki = builder.build().map_err(refused)?;
    Ok(Some(Arc::new(IdentityVerifier(webpki))))
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

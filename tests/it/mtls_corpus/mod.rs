//! A corpus of client certificates, good and bad: each is shown in a handshake to a listener of every rule, which lets it
//! in under one name or refuses it for the one reason that there is.

mod chains;
mod names;
mod world;

use std::sync::Arc;

use a2ad::tls::{ClientNames, TlsSource};
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsConnector;

use crate::sockets::soon;
use Verdict::{In, Out};
use names::NAMELESS;
use world::{DNS, ID, Shown, World};

/// The fewest certificates that the corpus may hold.
const CERTIFICATES_MIN: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Let in as this.
    In(String),
    /// Refused for this reason: a word of rustls' error.
    Out(&'static str),
}

/// One certificate, and what each rule makes of it.
struct Case {
    what: String,
    shown: Shown,
    spiffe: Verdict,
    either: Verdict,
    dns: Verdict,
}

impl Case {
    /// A certificate with our usual names that every rule takes.
    fn good(what: String, shown: Shown) -> Self {
        Self {
            what,
            shown,
            spiffe: In(ID.to_owned()),
            either: In(ID.to_owned()),
            dns: In(format!("dns:{DNS}")),
        }
    }

    /// As [`Case::good`], or refused by every rule for this reason.
    fn judged(what: String, shown: Shown, why: Option<&'static str>) -> Self {
        let good = Self::good(what, shown);
        match why {
            None => good,
            Some(why) => Self {
                spiffe: Out(why),
                either: Out(why),
                dns: Out(why),
                ..good
            },
        }
    }

    fn nameless(what: String, shown: Shown) -> Self {
        Self::judged(what, shown, Some(NAMELESS))
    }
}

/// Shows what it has, whatever it is asked for.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

fn config(world: &World, shown: Option<&Shown>) -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(world.server_ca()).unwrap())
        .unwrap();
    let shows = shown.map(|shown| {
        let key = provider
            .key_provider
            .load_private_key(shown.key.clone_key())
            .unwrap();
        Arc::new(CertifiedKey::new(shown.chain.clone(), key))
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Shows(shows)));
    Arc::new(config)
}

/// One handshake: the name under which the client was let in, or what the server said.
async fn handshake(listener: &TlsSource, config: Arc<ClientConfig>) -> Result<String, String> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    let connect = TlsConnector::from(config).connect(name, theirs);
    let (accepted, connected) = soon("a handshake", async {
        tokio::join!(listener.accept(ours), connect)
    })
    .await;
    // With TLS 1.3 the client is done before the server has looked at its certificate.
    connected.unwrap();
    match accepted {
        Ok(accepted) => Ok(accepted.identity.expect("a certificate is required").to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn is_as_expected(found: &Result<String, String>, expected: &Verdict) -> bool {
    match (found, expected) {
        (Ok(identity), In(expected)) => identity == expected,
        (Err(error), Out(why)) => error.contains("invalid peer certificate") && error.contains(why),
        _ => false,
    }
}

#[tokio::test]
async fn every_certificate_is_let_in_under_its_name_or_refused_for_its_reason() {
    let world = World::new();
    let mut cases = names::cases(&world);
    cases.extend(chains::cases(&world));
    let rules = [ClientNames::Spiffe, ClientNames::SpiffeOrDns, ClientNames::Dns];
    let mut listeners = Vec::new();
    for rule in rules {
        listeners.push((rule, world.listener(rule).await));
    }
    let (mut wrong, mut let_in, mut refused) = (Vec::new(), 0, 0);
    for case in &cases {
        let config = config(&world, Some(&case.shown));
        for ((rule, listener), expected) in listeners.iter().zip([&case.spiffe, &case.either, &case.dns]) {
            let found = handshake(listener, Arc::clone(&config)).await;
            if found.is_ok() {
                let_in += 1;
            } else {
                refused += 1;
            }
            if !is_as_expected(&found, expected) {
                wrong.push(format!(
                    "{}: {rule:?} must say {expected:?} and says {found:?}",
                    case.what
                ));
            }
        }
    }
    println!(
        "{} certificates in {} handshakes: {let_in} let in, {refused} refused, {} wrong",
        cases.len(),
        let_in + refused,
        wrong.len()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        cases.len() >= CERTIFICATES_MIN,
        "only {} certificates",
        cases.len()
    );
    for (rule, listener) in &listeners {
        let found = handshake(listener, config(&world, None)).await;
        assert!(
            found.is_err(),
            "{rule:?} lets in a client without a certificate: {found:?}"
        );
    }
}

//! Certificates and tokens together: which combination is enough, and tokens that are bound to a certificate.

use a2ad::config::{ClientCertificates, Config};
use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;
use a2ad::tls::PeerIdentity;
use a2ad::tls::dev::{Issued, Names};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::issuer::{FileIssuer, base64};
use super::{allow_all, texts};
use crate::mtls_sockets::Files;
use crate::support::wire::{Dial, TestClient, Wire};
use crate::support::world::{Scenario, World};

fn secure(config: &mut Config, files: &Files) {
    config.tls.cert_file = Some(files.path("server.pem"));
    config.tls.key_file = Some(files.path("server.key"));
    config.tls.client_ca_file = Some(files.path("ca.pem"));
    config.tls.client_certificates = ClientCertificates::Optional;
}

fn member(files: &Files, name: &str) -> Issued {
    files.client(&Names {
        uris: texts(&[name]),
        ..Names::default()
    })
}

fn fingerprint(certificate: &Issued) -> String {
    let der = CertificateDer::from_pem_slice(certificate.cert_pem.as_bytes()).unwrap();
    let identity = PeerIdentity::from_der(&der, a2ad::tls::ClientNames::default()).unwrap();
    base64(identity.fingerprint())
}

struct Place {
    world: World,
    bare: Dial,
    ours: Dial,
    others: Dial,
    own: String,
    file: FileIssuer,
}

impl Place {
    async fn new(accept: &[&str]) -> Self {
        let (files, file) = (Files::new(), FileIssuer::new());
        let world = Scenario::new()
            .set(|config| {
                secure(config, &files);
                file.trust(config);
                config.auth.accept = texts(accept);
                allow_all(config);
            })
            .start()
            .await;
        let (our, other) = (
            member(&files, "spiffe://example.org/ours"),
            member(&files, "spiffe://example.org/others"),
        );
        Self {
            bare: Dial::tls(&files.client_tls(None)).await,
            others: Dial::tls(&files.client_tls(Some(&other))).await,
            ours: Dial::tls(&files.client_tls(Some(&our))).await,
            own: fingerprint(&our),
            world,
            file,
        }
    }

    fn client(&self, wire: Wire, dial: &Dial, token: Option<&str>) -> TestClient {
        let client = TestClient::over(self.world.address, wire, dial.clone());
        match token {
            Some(token) => client.with("authorization", &format!("Bearer {token}")),
            None => client,
        }
    }
}

#[tokio::test]
async fn a_bound_token_works_over_its_own_certificate_only() {
    let place = Place::new(&[]).await;
    let issuer = &place.file.issuer;
    let bound = issuer.token_of("ada", json!({"cnf": {"x5t#S256": place.own}}));
    let free = issuer.token_of("ada", json!({}));
    for wire in Wire::ALL {
        for (dial, token, is_in) in [
            (&place.ours, Some(&bound), true),
            (&place.others, Some(&bound), false),
            (&place.bare, Some(&bound), false),
            (&place.ours, Some(&free), true),
            (&place.others, Some(&free), true),
            (&place.bare, Some(&free), true),
            (&place.ours, None, true),
            (&place.bare, None, false),
        ] {
            // Twice: what was remembered must not be taken over another connection either.
            for _ in 0..2 {
                let client = place.client(wire, dial, token.map(String::as_str));
                let answer = client.call(ListTasksRequest::default()).await;
                assert_eq!(answer.is_ok(), is_in, "{wire:?} {answer:?}");
                if let Err(error) = answer {
                    error.is(Kind::Unauthenticated);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_operator_says_which_credentials_are_enough() {
    // Without and with a certificate: nothing, a token; the last one is whether a certificate alone is enough.
    for (accept, [token_alone, both, certificate_alone]) in [
        (&["certificate", "jwt"][..], [true, true, true]),
        (&["certificate+jwt"], [false, true, false]),
        (&["certificate"], [false, false, true]),
        (&["jwt"], [true, true, false]),
        (&["certificate", "certificate+jwt"], [false, true, true]),
    ] {
        let place = Place::new(accept).await;
        let token = place.file.issuer.token_of("ada", json!({}));
        for wire in Wire::ALL {
            for (dial, token, is_in) in [
                (&place.bare, None, false),
                (&place.bare, Some(token.as_str()), token_alone),
                (&place.ours, Some(token.as_str()), both),
                (&place.ours, None, certificate_alone),
                (&place.ours, Some("bad.token.here"), false),
            ] {
                let answer = place
                    .client(wire, dial, token)
                    .call(ListTasksRequest::default())
                    .await;
                assert_eq!(answer.is_ok(), is_in, "{accept:?} {wire:?} {token:?} {answer:?}");
            }
        }
    }
}

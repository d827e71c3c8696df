//! Which files hold a key to sign with, and which sets hold keys to verify with.

use std::os::unix::fs::PermissionsExt as _;

use a2ad::app::{Runtime, StartError};
use a2ad::config::Config;
use a2ad::signature::{Error, PublicKeys, SigningKey, jwk_set};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use serde_json::{Value, json};

use super::{ALGORITHMS, Pen, pem};
use crate::identity::issuer::base64;

fn refused(pen: &Pen) -> String {
    let error = SigningKey::read(&pen.path(), None, None).unwrap_err();
    assert!(matches!(error, Error::KeyFile { .. }));
    error.to_string()
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let pen = Pen::new("EdDSA");
    for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
        std::fs::set_permissions(pen.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused(&pen).contains("chmod 600"), "{mode:o}");
    }
    std::fs::set_permissions(pen.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
    SigningKey::read(&pen.path(), None, None).unwrap();
}

#[test]
fn files_without_a_fitting_key_are_refused_with_what_to_do() {
    let pen = Pen::new("ES256");
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let texts = [
        String::new(),
        "no key".to_owned(),
        pem("EC PRIVATE KEY", &pen.der),
        pem("PRIVATE KEY", b"no key"),
        pem("PRIVATE KEY", rsa.as_ref()),
        "#".repeat(100_000) + &pem("PRIVATE KEY", &pen.der),
    ];
    for text in &texts {
        std::fs::write(pen.path(), text).unwrap();
        let why = refused(&pen);
        assert!(
            why.contains("openssl genpkey") && why.contains("card.key"),
            "{why}"
        );
    }
    std::fs::remove_file(pen.path()).unwrap();
    assert!(refused(&pen).contains("check that this user may read it"));
}

#[tokio::test]
async fn a_server_without_its_key_does_not_start() {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.database.url = "memory".into();
    config.card.signing_key_file = Some("missing.key".into());
    let started = Runtime::start(config, Vec::new()).await;
    assert!(matches!(
        started.err(),
        Some(StartError::Signature(Error::KeyFile { .. }))
    ));
}

#[test]
fn a_key_shows_nothing_of_its_secret() {
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let key = SigningKey::read(&pen.path(), None, None).unwrap();
        let shown = format!("{key:?}");
        assert_eq!(
            shown,
            format!(
                "SigningKey {{ id: {:?}, algorithm: {algorithm:?}, .. }}",
                key.id()
            )
        );
        let set: Value = serde_json::from_str(&jwk_set([&key])).unwrap();
        let members = set["keys"][0].as_object().unwrap();
        let public = ["alg", "crv", "kid", "kty", "use", "x", "y"];
        assert!(
            members.keys().all(|name| public.contains(&name.as_str())),
            "{members:?}"
        );
        assert_eq!(key.id().len(), 43, "a thumbprint");
    }
}

#[test]
fn an_id_is_the_thumbprint_of_rfc_7638() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::read(&Pen::new(algorithm).path(), None, None).unwrap();
        let set: Value = serde_json::from_str(&jwk_set([&key])).unwrap();
        let jwk = &set["keys"][0];
        let members = if algorithm == "ES256" {
            format!(
                r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
                jwk["x"], jwk["y"]
            )
        } else {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, jwk["x"])
        };
        assert_eq!(key.id(), base64(digest(&SHA256, members.as_bytes())));
    }
}

#[test]
fn keys_that_are_no_use_are_passed_over() {
    let pen = Pen::new("ES256");
    let set: Value = serde_json::from_str(&jwk_set([&pen.key("k")])).unwrap();
    let good = &set["keys"][0];
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        json!({"keys": [key]}).to_string()
    };
    PublicKeys::parse(with("kid", json!("other")).as_bytes()).unwrap();
    let mut nameless = good.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    let many = vec![good.clone(); 65];
    for text in [
        with("use", json!("enc")),
        with("alg", json!("RS256")),
        with("key_ops", json!(["sign"])),
        with("crv", json!("P-384")),
        with("x", json!("AAAA")),
        json!({"keys": [nameless]}).to_string(),
        json!({"keys": [{"kty": "oct", "kid": "k", "k": "AAAA"}]}).to_string(),
        json!({"keys": many}).to_string(),
        json!({"keys": []}).to_string(),
        "[]".to_owned(),
        String::new(),
    ] {
        let parsed = PublicKeys::parse(text.as_bytes());
        assert!(matches!(parsed, Err(Error::KeySet(_))), "{text}");
    }
}

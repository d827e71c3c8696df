//! Tokens: three good kinds, and a corpus of bad ones, each sent by every binding.

use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256,
};
use serde_json::{Value, json};

use super::issuer::{AUDIENCE, FileIssuer, ISSUER, Issuer, base64, now_s, signed};
use super::{allow_all, spoken};
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

async fn world(issuer: &FileIssuer) -> World {
    Scenario::new()
        .set(|config| {
            issuer.trust(config);
            allow_all(config);
        })
        .start()
        .await
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_three_algorithms_open_every_binding() {
    let file = FileIssuer::new();
    let (world, issuer) = (world(&file).await, &file.issuer);
    let claims = issuer.claims("ada");
    let several = with(claims.clone(), "aud", json!(["x", AUDIENCE]));
    let fraction = with(claims.clone(), "exp", json!(now_s() as f64 + 300.5));
    let skewed = with(claims.clone(), "exp", json!(now_s() - 30));
    let early = with(claims.clone(), "nbf", json!(now_s() + 30));
    let hints = json!({"alg": "ES256", "typ": "at+jwt", "kid": "ec", "jku": "http://127.0.0.1:1/keys",
                       "x5u": "http://127.0.0.1:1/cert", "jwk": Issuer::new().ec_jwk("ec"), "x5c": ["junk"]});
    let good = [
        issuer.token(&claims),
        issuer.es256(&json!({"alg": "ES256"}), &claims),
        issuer.es256(&hints, &claims),
        issuer.eddsa(&json!({"alg": "EdDSA", "kid": "ed"}), &claims),
        issuer.rs256(
            &json!({"alg": "RS256", "kid": "rsa", "typ": "application/at+JWT"}),
            &claims,
        ),
        issuer.token(&several),
        issuer.token(&fraction),
        issuer.token(&skewed),
        issuer.token(&early),
        issuer.token(&without(without(claims.clone(), "iat"), "nbf")),
    ];
    for (number, token) in good.iter().enumerate() {
        for wire in Wire::ALL {
            for scheme in ["Bearer", "bearer"] {
                let client = world
                    .client(wire)
                    .with("authorization", &format!("{scheme} {token}"));
                client
                    .call(ListTasksRequest::default())
                    .await
                    .unwrap_or_else(|error| panic!("good token {number} on {wire:?}: {error:?}"));
            }
        }
    }
}

/// Each bad token with what is wrong with it.
fn corpus(file: &FileIssuer) -> Vec<(&'static str, String)> {
    let (issuer, stranger) = (&file.issuer, Issuer::new());
    let claims = issuer.claims("ada");
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "ec"});
    let good = issuer.token(&claims);
    let parts: Vec<&str> = good.split('.').collect();
    let (text, signature) = good.rsplit_once('.').unwrap();
    let mac = |key: &[u8], alg: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        signed(
            &json!({"alg": alg, "kid": "ec"}),
            claims.to_string().as_bytes(),
            |text| hmac::sign(&key, text).as_ref().to_vec(),
        )
    };
    let mut bad = vec![
        (
            "alg none, no signature",
            format!("{}.{}.", base64(r#"{"alg":"none"}"#), parts[1]),
        ),
        (
            "alg none with the good signature",
            format!("{}.{}.{signature}", base64(r#"{"alg":"none"}"#), parts[1]),
        ),
        (
            "alg None",
            format!("{}.{}.{signature}", base64(r#"{"alg":"None"}"#), parts[1]),
        ),
        (
            "alg empty",
            format!("{}.{}.{signature}", base64(r#"{"alg":""}"#), parts[1]),
        ),
        (
            "alg missing",
            format!("{}.{}.{signature}", base64(r#"{"kid":"ec"}"#), parts[1]),
        ),
        (
            "alg a number",
            format!("{}.{}.{signature}", base64(r#"{"alg":256}"#), parts[1]),
        ),
        (
            "alg twice",
            format!(
                "{}.{}.{signature}",
                base64(r#"{"alg":"ES256","alg":"none"}"#),
                parts[1]
            ),
        ),
        (
            "HMAC with the published key set",
            mac(issuer_text(file).as_bytes(), "HS256"),
        ),
        (
            "HMAC with the x of the key",
            mac(issuer.ec_jwk("ec")["x"].as_str().unwrap().as_bytes(), "HS256"),
        ),
        ("HMAC that says ES256", mac(b"secret", "ES256")),
        ("HMAC with nothing", mac(b"", "HS256")),
        ("signed by a stranger with our kid", stranger.token(&claims)),
        (
            "signed by a stranger without kid",
            stranger.es256(&json!({"alg": "ES256"}), &claims),
        ),
        (
            "signed by a stranger whose key comes along",
            stranger.es256(&json!({"alg": "ES256", "jwk": stranger.ec_jwk("ec")}), &claims),
        ),
        (
            "signed by a stranger whose set is named",
            stranger.es256(
                &json!({"alg": "ES256", "jku": "http://127.0.0.1:1/", "kid": "ec"}),
                &claims,
            ),
        ),
        (
            "kid of another key",
            issuer.es256(&json!({"alg": "ES256", "kid": "ed"}), &claims),
        ),
        (
            "kid unknown",
            issuer.es256(&json!({"alg": "ES256", "kid": "nobody"}), &claims),
        ),
        (
            "kid a path",
            issuer.es256(&json!({"alg": "ES256", "kid": "../../keys.json"}), &claims),
        ),
        (
            "kid SQL",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec' OR '1'='1"}), &claims),
        ),
        (
            "kid a URL",
            issuer.es256(&json!({"alg": "ES256", "kid": "http://127.0.0.1:1/"}), &claims),
        ),
        (
            "kid in another case",
            issuer.es256(&json!({"alg": "ES256", "kid": "EC"}), &claims),
        ),
        (
            "kid a list",
            issuer.es256(&json!({"alg": "ES256", "kid": ["ec"]}), &claims),
        ),
        (
            "kid endless",
            issuer.es256(&json!({"alg": "ES256", "kid": "k".repeat(300)}), &claims),
        ),
        ("EdDSA that says ES256", issuer.eddsa(&header, &claims)),
        (
            "ES256 that says EdDSA",
            issuer.es256(&json!({"alg": "EdDSA", "kid": "ed"}), &claims),
        ),
        (
            "RS256 that says RS512",
            issuer.rs256(&json!({"alg": "RS512", "kid": "rsa"}), &claims),
        ),
        (
            "RS256 that says PS256",
            issuer.rs256(&json!({"alg": "PS256", "kid": "rsa"}), &claims),
        ),
        ("RS512", rsa(issuer, "RS512", &claims, &RSA_PKCS1_SHA512)),
        (
            "RS512 that says RS256",
            rsa(issuer, "RS256", &claims, &RSA_PKCS1_SHA512),
        ),
        (
            "PS256 that says RS256",
            rsa(issuer, "RS256", &claims, &RSA_PSS_SHA256),
        ),
        ("ES384", es384(&claims)),
        ("signature in DER", der(issuer, &header, &claims)),
        ("signature all zeros", format!("{text}.{}", base64([0; 64]))),
        (
            "signature cut",
            format!("{text}.{}", &signature[..signature.len() - 2]),
        ),
        ("signature longer", format!("{text}.{signature}AA")),
        ("signature empty", format!("{text}.")),
        ("signature padded", format!("{text}.{signature}==")),
        (
            "critical extension",
            issuer.es256(
                &json!({"alg": "ES256", "kid": "ec", "crit": ["exp"], "exp": 1}),
                &claims,
            ),
        ),
        (
            "critical and empty",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "crit": []}), &claims),
        ),
        (
            "critical null",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "crit": null}), &claims),
        ),
        (
            "payload not encoded",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "b64": false}), &claims),
        ),
        (
            "encrypted",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "enc": "A128GCM"}), &claims),
        ),
        (
            "compressed",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "zip": "DEF"}), &claims),
        ),
        (
            "a token for logging out",
            issuer.es256(
                &json!({"alg": "ES256", "kid": "ec", "typ": "logout+jwt"}),
                &claims,
            ),
        ),
        (
            "a proof of possession",
            issuer.es256(&json!({"alg": "ES256", "kid": "ec", "typ": "dpop+jwt"}), &claims),
        ),
        (
            "header no object",
            signed(&json!(["ES256"]), claims.to_string().as_bytes(), |_| vec![1; 64]),
        ),
        ("two parts", text.to_owned()),
        ("one part", parts[1].to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as if encrypted", format!("{good}.x.y")),
        ("no base64", "a.b.c".to_owned()),
        (
            "ordinary base64",
            format!("{}+/.{}.{signature}", parts[0], parts[1]),
        ),
        (
            "header of another token",
            format!("{}.{}.{signature}", base64(r#"{"alg":"ES256"}"#), parts[1]),
        ),
        (
            "payload of another token",
            format!(
                "{}.{}.{signature}",
                parts[0],
                base64(with(claims.clone(), "sub", json!("eve")).to_string())
            ),
        ),
        (
            "payload no object",
            issuer.es256(&header, &json!([claims.clone()])),
        ),
        ("payload no JSON", signed_text(issuer, &header, "claims")),
        ("payload empty", signed_text(issuer, &header, "")),
        ("a claim twice", signed_text(issuer, &header, &doubled(&claims))),
        (
            "larger than a token may be",
            issuer.token(&with(claims.clone(), "fill", json!("x".repeat(9_000)))),
        ),
    ];
    for (what, claims) in [
        ("issuer missing", without(claims.clone(), "iss")),
        (
            "issuer another",
            with(claims.clone(), "iss", json!("https://evil.example.com")),
        ),
        (
            "issuer with a slash",
            with(claims.clone(), "iss", json!(format!("{ISSUER}/"))),
        ),
        (
            "issuer in another case",
            with(claims.clone(), "iss", json!(ISSUER.to_uppercase())),
        ),
        ("issuer a list", with(claims.clone(), "iss", json!([ISSUER]))),
        (
            "issuer and more",
            with(claims.clone(), "iss", json!(format!("{ISSUER}.evil.example.com"))),
        ),
        ("audience missing", without(claims.clone(), "aud")),
        (
            "audience another",
            with(claims.clone(), "aud", json!("https://other.example.com")),
        ),
        (
            "audiences of others",
            with(claims.clone(), "aud", json!(["a", "b"])),
        ),
        ("audience empty", with(claims.clone(), "aud", json!([]))),
        (
            "audience a part of ours",
            with(claims.clone(), "aud", json!(&AUDIENCE[..AUDIENCE.len() - 1])),
        ),
        (
            "audience an object",
            with(claims.clone(), "aud", json!({"a": AUDIENCE})),
        ),
        (
            "audience among numbers",
            with(claims.clone(), "aud", json!([AUDIENCE, 1])),
        ),
        ("expired", with(claims.clone(), "exp", json!(now_s() - 61))),
        ("expired long ago", with(claims.clone(), "exp", json!(0))),
        ("end missing", without(claims.clone(), "exp")),
        (
            "end a text",
            with(claims.clone(), "exp", json!((now_s() + 600).to_string())),
        ),
        ("end negative", with(claims.clone(), "exp", json!(-1))),
        ("end null", with(claims.clone(), "exp", Value::Null)),
        ("end beyond all time", with(claims.clone(), "exp", json!(1e300))),
        (
            "end in milliseconds",
            with(claims.clone(), "exp", json!((now_s() + 600) * 1_000)),
        ),
        (
            "begins in the future",
            with(claims.clone(), "nbf", json!(now_s() + 90)),
        ),
        ("begin a text", with(claims.clone(), "nbf", json!("0"))),
        (
            "made in the future",
            with(claims.clone(), "iat", json!(now_s() + 90)),
        ),
        ("made at no time", with(claims.clone(), "iat", json!({}))),
        ("name missing", without(claims.clone(), "sub")),
        ("name empty", with(claims.clone(), "sub", json!(""))),
        ("name a number", with(claims.clone(), "sub", json!(7))),
        (
            "name with a line end",
            with(claims.clone(), "sub", json!("ada\nroot")),
        ),
        ("name with a zero", with(claims.clone(), "sub", json!("ada\u{0}"))),
        (
            "name endless",
            with(claims.clone(), "sub", json!("a".repeat(600))),
        ),
        (
            "bound to a certificate",
            with(claims.clone(), "cnf", json!({"x5t#S256": base64([1; 32])})),
        ),
        (
            "bound to a key",
            with(claims.clone(), "cnf", json!({"jkt": base64([1; 32])})),
        ),
        ("bound to nothing", with(claims.clone(), "cnf", json!({}))),
        ("bound to a text", with(claims.clone(), "cnf", json!("x"))),
    ] {
        bad.push((what, issuer.token(&claims)));
    }
    bad
}

fn issuer_text(file: &FileIssuer) -> String {
    std::fs::read_to_string(file.path()).unwrap()
}

fn rsa(
    issuer: &Issuer,
    alg: &str,
    claims: &Value,
    padding: &'static dyn aws_lc_rs::signature::RsaEncoding,
) -> String {
    signed(
        &json!({"alg": alg, "kid": "rsa"}),
        claims.to_string().as_bytes(),
        |text| {
            let mut signature = vec![0; issuer.rsa.public_modulus_len()];
            issuer
                .rsa
                .sign(padding, &SystemRandom::new(), text, &mut signature)
                .unwrap();
            signature
        },
    )
}

fn es384(claims: &Value) -> String {
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    signed(&json!({"alg": "ES384"}), claims.to_string().as_bytes(), |text| {
        key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
    })
}

fn der(issuer: &Issuer, header: &Value, claims: &Value) -> String {
    let document = issuer.ec.to_pkcs8v1().unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
    signed(header, claims.to_string().as_bytes(), |text| {
        key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
    })
}

fn signed_text(issuer: &Issuer, header: &Value, payload: &str) -> String {
    signed(header, payload.as_bytes(), |text| {
        issuer
            .ec
            .sign(&SystemRandom::new(), text)
            .unwrap()
            .as_ref()
            .to_vec()
    })
}

fn doubled(claims: &Value) -> String {
    let text = claims.to_string();
    format!(r#"{{"sub":"root",{}"#, &text[1..])
}

#[tokio::test]
async fn a_bad_token_is_unauthenticated_on_every_binding() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    let corpus = corpus(&file);
    let mut refused = 0;
    for (what, token) in &corpus {
        for wire in Wire::ALL {
            let client = world
                .client(wire)
                .with("authorization", &format!("Bearer {token}"));
            let answer = client.call(ListTasksRequest::default()).await;
            let error = answer.expect_err(what).is(Kind::Unauthenticated);
            let challenge = error.headers["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.starts_with("Bearer realm=\"a2ad\", error=\"invalid_token\", error_description=\""),
                "{what}: {challenge}"
            );
            assert!(
                !format!("{error:?}").contains(token.as_str()),
                "{what}: the token shows"
            );
            refused += 1;
        }
    }
    println!("{} bad tokens, {refused} refusals, 0 let in", corpus.len());
    assert!(corpus.len() >= 60 && refused == 3 * corpus.len());
}

/// Whatever we take another library takes as well: it sees nothing wrong that we overlook.
#[tokio::test]
async fn a_second_library_takes_what_is_taken_here() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    let file = FileIssuer::new();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&issuer_text(&file)).unwrap();
    let key = DecodingKey::from_jwk(set.find("ec").unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[ISSUER]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    rules.validate_nbf = true;
    let good = file.issuer.token(&file.issuer.claims("ada"));
    assert!(decode::<Value>(&good, &key, &rules).is_ok());
    // Each byte of a good token in turn is changed: what still passes there must be refused here, or be the same token.
    let world = world(&file).await;
    let mut changed = 0;
    for place in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).unwrap();
        let taken = world
            .client(Wire::HttpJson)
            .with("authorization", &format!("Bearer {token}"))
            .call(ListTasksRequest::default())
            .await
            .is_ok();
        assert!(!taken, "changed at {place}: {token}");
        changed += 1;
    }
    assert!(changed > 40, "{changed}");
}

#[tokio::test]
async fn a_request_shows_one_credential_in_the_right_form() {
    let file = FileIssuer::new();
    let (world, issuer) = (world(&file).await, &file.issuer);
    let token = issuer.token(&issuer.claims("ada"));
    for wire in Wire::ALL {
        let refused = async |value: &str| {
            let client = world.client(wire).with("authorization", value);
            let answer = client.call(ListTasksRequest::default()).await;
            answer.expect_err(value).is(Kind::Unauthenticated);
        };
        world
            .client(wire)
            .call(ListTasksRequest::default())
            .await
            .expect_err("nothing was shown")
            .is(Kind::Unauthenticated);
        for value in [
            "",
            "Bearer",
            "Bearer ",
            &token,
            &format!("Basic {token}"),
            &format!("Bearer  {token}"),
            &format!("Bearer {token} {token}"),
            &format!("Bearer {token}, Bearer {token}"),
            &format!("Bearer \"{token}\""),
        ] {
            refused(value).await;
        }
    }
    let two = format!(
        "GET /tasks HTTP/1.1\r\nHost: x\r\nA2A-Version: 1.0\r\nAuthorization: Bearer {token}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let answer = spoken(world.address, &two).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

//! The corpus of bad tokens: each with what is wrong with it.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256,
};
use serde_json::{Value, json};

use super::issuer::{AUDIENCE, FileIssuer, ISSUER, Issuer, base64, now_s, signed};

pub fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// All of them.
pub fn corpus(file: &FileIssuer) -> Vec<(&'static str, String)> {
    let claims = file.issuer.claims("ada");
    let bad_claims = bad_claims(&claims)
        .into_iter()
        .map(|(what, claims)| (what, file.issuer.token(&claims)));
    bad_forms(file)
        .into_iter()
        .chain(doubled_members(&file.issuer, &claims))
        .chain(bad_claims)
        .collect()
}

/// What no claim is to blame for.
fn bad_forms(file: &FileIssuer) -> Vec<(&'static str, String)> {
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
    vec![
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
        (
            "payload no JSON",
            signed_text(issuer, &header.to_string(), "claims"),
        ),
        ("payload empty", signed_text(issuer, &header.to_string(), "")),
        (
            "larger than a token may be",
            issuer.token(&with(claims.clone(), "fill", json!("x".repeat(9_000)))),
        ),
    ]
}

/// Members that are there twice, at every depth: which of them counts would be a matter of taste.
fn doubled_members(issuer: &Issuer, claims: &Value) -> Vec<(&'static str, String)> {
    let header = r#"{"alg":"ES256","kid":"ec""#;
    let text = claims.to_string();
    let more_claims = |more: &str| {
        signed_text(
            issuer,
            &format!("{header}}}"),
            &format!("{{{more},{}", &text[1..]),
        )
    };
    let more_header = |more: &str| signed_text(issuer, &format!("{header},{more}}}"), &text);
    vec![
        ("alg twice", more_header(r#""alg":"none""#)),
        ("alg twice and the same", more_header(r#""alg":"ES256""#)),
        (
            "a name twice in an object of the header",
            more_header(r#""x":{"y":1,"y":1}"#),
        ),
        (
            "a name twice in a key that comes along",
            more_header(r#""jwk":{"kty":"EC","kty":"oct"}"#),
        ),
        (
            "a name twice in a list of the header",
            more_header(r#""x5c":[[{"y":1,"z":2,"y":3}]]"#),
        ),
        ("a claim twice", more_claims(r#""sub":"root""#)),
        (
            "a claim twice and spelled otherwise",
            more_claims(r#""s\u0075b":"root""#),
        ),
        (
            "a name twice in a claim",
            more_claims(r#""realm_access":{"roles":["a"],"roles":["admin"]}"#),
        ),
        (
            "a name twice in a list of claims",
            more_claims(r#""x":[{"y":1},{"y":1,"y":2}]"#),
        ),
        (
            "a name twice far down",
            more_claims(r#""a":{"b":[{"c":{"d":null,"d":null}}]}"#),
        ),
    ]
}

/// Claims that make a token bad, however well it is signed.
fn bad_claims(claims: &Value) -> Vec<(&'static str, Value)> {
    vec![
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
    ]
}

pub fn issuer_text(file: &FileIssuer) -> String {
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

/// A token with a header and claims that no JSON library would write.
fn signed_text(issuer: &Issuer, header: &str, payload: &str) -> String {
    let text = format!("{}.{}", base64(header), base64(payload));
    let signature = issuer.ec.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", base64(signature.as_ref()))
}

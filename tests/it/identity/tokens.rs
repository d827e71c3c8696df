//! Tokens: three good kinds, and the corpus of bad ones, each sent by every binding.

use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;
use serde_json::{Value, json};

use super::issuer::{AUDIENCE, FileIssuer, ISSUER, Issuer, now_s};
use super::token_corpus::{corpus, issuer_text, with, without};
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
    assert!(corpus.len() >= 100 && refused == 3 * corpus.len());
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

//! Signatures that are not good: every bit changed, keys and algorithms swapped, headers that promise more.

use a2ad::pb::{AgentCard, AgentCardSignature};
use a2ad::signature::{
    Error, Form, Forms, PublicKeys, Refusal, canonical, canonical_for_sdks, jwk_set, sign, verify,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use super::{ALGORITHMS, Pen, rich_card, signed};
use crate::identity::issuer::{Issuer, base64, signed as compact};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn with(card: &AgentCard, signatures: Vec<AgentCardSignature>) -> AgentCard {
    AgentCard {
        signatures,
        ..card.clone()
    }
}

/// Fails in both forms.
fn refused(card: &AgentCard, keys: &PublicKeys) -> Error {
    verify(card, keys, Forms::OrSdks).expect_err("refused");
    verify(card, keys, Forms::Specification).expect_err("refused")
}

fn refusal(card: &AgentCard, keys: &PublicKeys) -> Refusal {
    match refused(card, keys) {
        Error::Refused(refusals) => refusals.into_iter().next().unwrap(),
        other => panic!("{other}"),
    }
}

/// The text with each bit of each digit changed, cut everywhere, and with more behind it.
fn broken(text: &str) -> Vec<String> {
    let mut all: Vec<String> = (0..text.len()).map(|end| text[..end].to_owned()).collect();
    for (at, digit) in text.bytes().enumerate() {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        for bit in 0..6 {
            let other = char::from(DIGITS[value ^ (1 << bit)]);
            all.push(format!("{}{other}{}", &text[..at], &text[at + 1..]));
        }
        all.push(format!("{} {}", &text[..at], &text[at..]));
    }
    all.extend(["A", "AA", "=", "==", ".", "\n", "é"].map(|more| format!("{text}{more}")));
    all
}

#[test]
fn no_bit_of_a_signature_can_be_changed() {
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let (card, keys) = (signed(&rich_card(), &pen.key("k")), pen.keys("k"));
        verify(&card, &keys, Forms::Specification).unwrap();
        let good = &card.signatures[0];
        let mut n = 0;
        for protected in broken(&good.protected) {
            let signature = good.signature.clone();
            let header = None;
            refused(
                &with(
                    &card,
                    vec![AgentCardSignature {
                        protected,
                        signature,
                        header,
                    }],
                ),
                &keys,
            );
            n += 1;
        }
        for signature in broken(&good.signature) {
            let protected = good.protected.clone();
            let header = None;
            refused(
                &with(
                    &card,
                    vec![AgentCardSignature {
                        protected,
                        signature,
                        header,
                    }],
                ),
                &keys,
            );
            n += 1;
        }
        println!("{algorithm}, protected and signature changed, cut and lengthened: n = {n}; 0 accepted");
    }
}

#[test]
fn keys_are_not_mistaken_for_each_other() {
    let (ec, ed, stranger) = (Pen::new("ES256"), Pen::new("EdDSA"), Pen::new("ES256"));
    let keys = PublicKeys::parse(jwk_set([&ec.key("ec"), &ed.key("ed")]).as_bytes()).unwrap();
    let card = rich_card();
    for (pen, id) in [(&ec, "ec"), (&ed, "ed")] {
        let good = verify(&signed(&card, &pen.key(id)), &keys, Forms::Specification).unwrap();
        assert_eq!((good.kid.as_str(), good.form), (id, Form::Specification));
    }
    for (pen, id, expected) in [
        (&ec, "ed", Refusal::Algorithm("ed".to_owned())),
        (&ed, "ec", Refusal::Algorithm("ec".to_owned())),
        (&stranger, "ec", Refusal::Mismatch("ec".to_owned())),
        (&stranger, "other", Refusal::UnknownKey("other".to_owned())),
        (&ec, "", Refusal::UnknownKey(String::new())),
        (&ec, "EC", Refusal::UnknownKey("EC".to_owned())),
    ] {
        assert_eq!(refusal(&signed(&card, &pen.key(id)), &keys), expected);
    }
    let swapped = AgentCardSignature {
        signature: sign(&card, &stranger.key("ec")).unwrap().signature,
        ..sign(&card, &ec.key("ec")).unwrap()
    };
    assert_eq!(
        refusal(&with(&card, vec![swapped]), &keys),
        Refusal::Mismatch("ec".to_owned())
    );
}

#[test]
fn cards_of_others_may_be_signed_with_rsa() {
    let issuer = Issuer::new();
    let keys = PublicKeys::parse(issuer.jwks().to_string().as_bytes()).unwrap();
    let card = rich_card();
    for (alg, is_good) in [("RS256", true), ("PS256", false), ("ES256", false)] {
        let header = json!({"alg": alg, "kid": "rsa"});
        let compact = compact(&header, &canonical(&card).unwrap(), |text| {
            let mut signature = vec![0; issuer.rsa.public_modulus_len()];
            let random = SystemRandom::new();
            issuer
                .rsa
                .sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                .unwrap();
            signature
        });
        let parts: Vec<&str> = compact.split('.').collect();
        let signature = AgentCardSignature {
            protected: parts[0].to_owned(),
            signature: parts[2].to_owned(),
            header: None,
        };
        let verified = verify(&with(&card, vec![signature]), &keys, Forms::Specification);
        assert_eq!(verified.is_ok(), is_good, "{alg}");
    }
}

#[test]
fn the_key_decides_on_the_algorithm() {
    let mut n = 0;
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let (card, keys) = (rich_card(), pen.keys("k"));
        for alg in [
            "none", "None", "", "HS256", "HS512", "RS256", "PS256", "ES384", "ES256", "EdDSA", "Ed25519",
            "es256",
        ] {
            let signature = pen.sign_under(&json!({"alg": alg, "kid": "k"}), &card);
            if alg == algorithm {
                verify(&with(&card, vec![signature]), &keys, Forms::Specification).unwrap();
                continue;
            }
            let stripped = AgentCardSignature {
                signature: String::new(),
                ..signature.clone()
            };
            for signature in [signature, stripped] {
                let why = refusal(&with(&card, vec![signature]), &keys);
                assert_eq!(why, Refusal::Algorithm("k".to_owned()), "{alg}");
                n += 1;
            }
        }
    }
    println!("other algorithms in the header: n = {n}; 0 accepted");
}

#[test]
fn headers_that_ask_for_more_are_refused_though_the_signature_is_good() {
    let pen = Pen::new("ES256");
    let (card, keys) = (rich_card(), pen.keys("k"));
    let own_key: Value = serde_json::from_str(&jwk_set([&Pen::new("ES256").key("k")])).unwrap();
    for (header, expected) in [
        (
            json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false}),
            Refusal::Unsupported,
        ),
        (
            json!({"alg": "ES256", "kid": "k", "crit": []}),
            Refusal::Unsupported,
        ),
        (
            json!({"alg": "ES256", "kid": "k", "crit": null}),
            Refusal::Unsupported,
        ),
        (
            json!({"alg": "ES256", "kid": "k", "b64": true}),
            Refusal::Unsupported,
        ),
        (json!({"alg": "ES256"}), Refusal::NoKeyId),
        (json!({"alg": "ES256", "kid": ["k"]}), Refusal::Malformed),
        (json!({"kid": "k"}), Refusal::Malformed),
        (json!(["ES256", "k"]), Refusal::Malformed),
    ] {
        let signature = pen.sign_under(&header, &card);
        assert_eq!(
            refusal(&with(&card, vec![signature]), &keys),
            expected,
            "{header}"
        );
    }
    // Keys that a header brings along, or points to, are not looked at.
    let brought =
        json!({"alg": "ES256", "kid": "k", "jwk": own_key["keys"][0], "jku": "https://evil.example/keys"});
    verify(
        &with(&card, vec![pen.sign_under(&brought, &card)]),
        &keys,
        Forms::Specification,
    )
    .unwrap();
    let stranger = Pen::new("ES256").sign_under(&brought, &card);
    assert_eq!(
        refusal(&with(&card, vec![stranger]), &keys),
        Refusal::Mismatch("k".to_owned())
    );
}

#[test]
fn signatures_belong_to_their_card_and_one_good_one_is_enough() {
    let pen = Pen::new("EdDSA");
    let (card, keys, key) = (rich_card(), pen.keys("k"), pen.key("k"));
    let mut other = card.clone();
    other.name.push('!');
    let (good, foreign) = (sign(&card, &key).unwrap(), sign(&other, &key).unwrap());
    assert_eq!(refused(&card, &keys), Error::Unsigned);
    assert_eq!(
        refusal(&with(&card, vec![foreign.clone()]), &keys),
        Refusal::Mismatch("k".to_owned())
    );
    assert_eq!(
        refusal(&with(&card, vec![AgentCardSignature::default()]), &keys),
        Refusal::Malformed
    );
    for at in 0..16 {
        let mut signatures = vec![foreign.clone(); 15];
        signatures.insert(at, good.clone());
        verify(&with(&card, signatures), &keys, Forms::Specification).unwrap();
    }
    let many = vec![good; 17];
    assert_eq!(refused(&with(&card, many), &keys), Error::TooMany(17));
}

#[test]
fn the_form_of_the_sdks_counts_only_where_it_is_asked_for() {
    let pen = Pen::new("ES256");
    let (card, keys) = (rich_card(), pen.keys("k"));
    let header = json!({"alg": "ES256", "kid": "k"});
    // A card whose form of the specification is the other one's form of the SDKs has the same signature.
    let full: AgentCard = a2ad::pb::json::from_slice(&canonical_for_sdks(&card).unwrap()).unwrap();
    let lean = base64(canonical_for_sdks(&card).unwrap());
    let signature = pen.sign_payload(&header, &lean);
    let theirs = with(&card, vec![signature]);
    verify(&theirs, &keys, Forms::Specification).unwrap_err();
    let good = verify(&theirs, &keys, Forms::OrSdks).unwrap();
    assert_eq!(good.form, Form::Sdks);
    let emptied = with(&full, theirs.signatures.clone());
    verify(&emptied, &keys, Forms::Specification).unwrap_err();
    assert_eq!(verify(&emptied, &keys, Forms::OrSdks).unwrap().form, Form::Sdks);
    let ours = signed(&card, &pen.key("k"));
    assert_eq!(
        verify(&ours, &keys, Forms::OrSdks).unwrap().form,
        Form::Specification
    );
    let mut changed = theirs;
    changed.capabilities.as_mut().unwrap().streaming = Some(true);
    refused(&changed, &keys);
}

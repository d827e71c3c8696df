//! Signatures of messages: everything that may be wrong with one of ours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;

use super::*;
use crate::signature::{PublicKeys, SigningKey, jwk_set};

const NOW: i64 = 1_800_000_000;
const BODY: &[u8] = br#"{"statusUpdate":{"taskId":"t"}}"#;
const URL: &str = "https://me.example.com/hooks?x=1";

fn key(seed: u8) -> SigningKey {
    SigningKey::of_seed(&[seed; 32]).unwrap()
}

/// A key of P-256, which only files hold.
fn p256() -> SigningKey {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let der = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let label = "PRIVATE KEY";
    let text = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
    std::fs::write(file.path(), pem).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    SigningKey::read(file.path(), None, None).unwrap()
}

fn public(keys: &[&SigningKey]) -> PublicKeys {
    PublicKeys::parse(jwk_set(keys.iter().copied()).as_bytes()).unwrap()
}

fn headers_of(key: &SigningKey, id: &str, created: i64) -> HeaderMap {
    let message = Outgoing {
        method: &Method::POST,
        target: &Uri::from_static(URL),
        content_type: "application/a2a+json",
        body: BODY,
        delivery_id: id,
        created,
    };
    sign(key, &message).unwrap().into_iter().collect()
}

fn window(now: i64) -> Window {
    Window {
        now,
        age_max: Duration::from_secs(300),
        leeway: Duration::from_secs(60),
    }
}

fn judge(headers: &HeaderMap, keys: &PublicKeys) -> Result<Verified, Refusal> {
    judge_at(headers, keys, NOW)
}

fn judge_at(headers: &HeaderMap, keys: &PublicKeys, now: i64) -> Result<Verified, Refusal> {
    let incoming = Incoming {
        method: &Method::POST,
        target: URL,
        headers,
    };
    verify(&incoming, keys, &window(now))
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(
        HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    );
}

#[test]
fn what_is_signed_is_verified_by_both_algorithms() {
    for (key, algorithm) in [(key(1), "ed25519"), (p256(), "ecdsa-p256-sha256")] {
        let headers = headers_of(&key, "id-1", NOW);
        assert_eq!(
            text(&headers, SIGNATURE_INPUT),
            format!(
                "a2ad=(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\" \"a2a-notification-id\");\
                 created={NOW};expires={};keyid=\"{}\";alg=\"{algorithm}\";tag=\"a2ad-push\"",
                NOW + 300,
                key.id()
            )
        );
        let good = judge(&headers, &public(&[&key])).unwrap();
        assert_eq!(
            (good.kid.as_str(), good.delivery_id.as_str(), good.created),
            (key.id(), "id-1", NOW)
        );
        assert!(good.is_of(BODY));
        for at in 0..BODY.len() {
            let mut changed = BODY.to_vec();
            changed[at] ^= 1;
            assert!(!good.is_of(&changed), "byte {at}");
        }
        assert!(!good.is_of(b"") && !good.is_of(&BODY[..BODY.len() - 1]));
    }
}

#[test]
fn every_covered_component_counts() {
    let key = key(1);
    let (keys, headers) = (public(&[&key]), headers_of(&key, "id-1", NOW));
    let mismatch = Err(Refusal::Mismatch(key.id().to_owned()));
    for method in [Method::PUT, Method::GET] {
        let incoming = Incoming {
            method: &method,
            target: URL,
            headers: &headers,
        };
        assert_eq!(verify(&incoming, &keys, &window(NOW)), mismatch);
    }
    for target in [
        "http://me.example.com/hooks?x=1",
        "https://you.example.com/hooks?x=1",
        "https://me.example.com:8443/hooks?x=1",
        "https://me.example.com/hooks/?x=1",
        "https://me.example.com/hooks?x=2",
        "https://me.example.com/hooks",
    ] {
        let incoming = Incoming {
            method: &Method::POST,
            target,
            headers: &headers,
        };
        assert_eq!(verify(&incoming, &keys, &window(NOW)), mismatch, "{target}");
    }
    for (name, value) in [
        (
            CONTENT_DIGEST,
            "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        ),
        ("content-type", "application/json"),
        (DELIVERY_ID, "id-2"),
    ] {
        let mut changed = headers.clone();
        set(&mut changed, name, value);
        assert_eq!(judge(&changed, &keys), mismatch, "{name}");
        changed.remove(name);
        assert_eq!(
            judge(&changed, &keys),
            Err(Refusal::Missing(name.to_owned())),
            "{name}"
        );
        let mut twice = headers.clone();
        twice.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        assert_eq!(judge(&twice, &keys), Err(Refusal::Malformed), "{name}");
    }
}

/// Each byte of both headers, each bit of it, as far as it is still a header.
#[test]
fn no_byte_of_a_signature_can_be_changed() {
    for key in [key(1), p256()] {
        let (keys, headers) = (public(&[&key]), headers_of(&key, "id-1", NOW));
        let mut tried = 0;
        for name in [SIGNATURE_INPUT, SIGNATURE] {
            let value = headers[name].as_bytes().to_vec();
            for bit in 0..value.len() * 8 {
                let mut changed = value.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let Ok(changed) = HeaderValue::from_bytes(&changed) else {
                    continue;
                };
                let mut headers = headers.clone();
                headers.insert(HeaderName::from_static(name), changed.clone());
                assert!(judge(&headers, &keys).is_err(), "{name}: {changed:?}");
                tried += 1;
            }
            for length in 0..value.len() {
                let mut headers = headers.clone();
                headers.insert(
                    HeaderName::from_static(name),
                    HeaderValue::from_bytes(&value[..length]).unwrap(),
                );
                assert!(judge(&headers, &keys).is_err(), "{name}: {length} bytes");
            }
        }
        assert!(tried > 1_500, "{tried}");
    }
}

#[test]
fn a_signature_holds_for_its_time() {
    let key = key(1);
    let keys = public(&[&key]);
    let headers = headers_of(&key, "id-1", NOW);
    for (now, outcome) in [
        (NOW - 61, Err(Refusal::Future)),
        (NOW - 60, Ok(())),
        (NOW + 300, Ok(())),
        (NOW + 301, Err(Refusal::Old)),
        (i64::MAX, Err(Refusal::Old)),
        (i64::MIN, Err(Refusal::Future)),
    ] {
        assert_eq!(judge_at(&headers, &keys, now).map(|_| ()), outcome, "{now}");
    }
    // Who receives allows more than the sender: then what the sender says counts, with the clocks' leeway.
    let patient = Window {
        age_max: Duration::MAX,
        ..window(NOW + 361)
    };
    let incoming = Incoming {
        method: &Method::POST,
        target: URL,
        headers: &headers,
    };
    assert_eq!(verify(&incoming, &keys, &patient), Err(Refusal::Old));
    assert!(
        verify(
            &incoming,
            &keys,
            &Window {
                now: NOW + 360,
                ..patient
            }
        )
        .is_ok()
    );
}

#[test]
fn only_a_known_key_of_the_right_kind_counts() {
    let (key, other) = (key(1), key(2));
    let headers = headers_of(&key, "id-1", NOW);
    assert_eq!(
        judge(&headers, &public(&[&other])),
        Err(Refusal::UnknownKey(key.id().to_owned()))
    );
    assert!(judge(&headers, &public(&[&other, &key])).is_ok());
    // The key of somebody else under the same name.
    let set = jwk_set([&other]).replace(other.id(), key.id());
    let forged = PublicKeys::parse(set.as_bytes()).unwrap();
    assert_eq!(
        judge(&headers, &forged),
        Err(Refusal::Mismatch(key.id().to_owned()))
    );
    let mut changed = headers.clone();
    let input = text(&headers, SIGNATURE_INPUT).replace("ed25519", "ecdsa-p256-sha256");
    set_input(&mut changed, &input);
    assert_eq!(
        judge(&changed, &public(&[&key])),
        Err(Refusal::Algorithm(key.id().to_owned()))
    );
}

fn set_input(headers: &mut HeaderMap, value: &str) {
    set(headers, SIGNATURE_INPUT, value);
}

#[test]
fn what_must_be_covered_can_not_be_left_out() {
    let key = key(1);
    let (keys, headers) = (public(&[&key]), headers_of(&key, "id-1", NOW));
    for name in COVERED {
        let mut changed = headers.clone();
        let input = text(&headers, SIGNATURE_INPUT);
        let less = input
            .replace(&format!("\"{name}\" "), "")
            .replace(&format!(" \"{name}\""), "");
        assert_ne!(less, input);
        set_input(&mut changed, &less);
        assert_eq!(judge(&changed, &keys), Err(Refusal::NotCovered(name)));
    }
    for name in [SIGNATURE, SIGNATURE_INPUT] {
        let mut changed = headers.clone();
        changed.remove(name);
        assert_eq!(judge(&changed, &keys), Err(Refusal::Unsigned));
    }
}

#[test]
fn one_good_signature_of_two_is_enough() {
    let (key, other) = (key(1), key(2));
    let (mine, theirs) = (headers_of(&key, "id-1", NOW), headers_of(&other, "id-1", NOW));
    let renamed = |name| text(&theirs, name).replacen("a2ad=", "b=", 1);
    let mut both = mine.clone();
    for name in [SIGNATURE_INPUT, SIGNATURE] {
        both.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(&renamed(name)).unwrap(),
        );
    }
    for (known, by) in [(&key, &key), (&other, &other)] {
        assert_eq!(judge(&both, &public(&[known])).unwrap().kid, by.id());
    }
    let unknown = judge(&both, &public(&[&self::key(3)]));
    assert!(matches!(unknown, Err(Refusal::UnknownKey(_))), "{unknown:?}");
    // A signature under the name of the other one is none.
    let mut crossed = both.clone();
    let swapped = format!(
        "{}, {}",
        text(&mine, SIGNATURE).replacen("a2ad=", "b=", 1),
        text(&theirs, SIGNATURE)
    );
    set(&mut crossed, SIGNATURE, &swapped);
    assert!(matches!(
        judge(&crossed, &public(&[&key, &other])),
        Err(Refusal::Mismatch(_))
    ));
}

#[test]
fn what_no_header_holds_is_not_signed() {
    let (key, target) = (key(1), Uri::from_static(URL));
    let message = |delivery_id: &'static str, created| Outgoing {
        method: &Method::POST,
        target: &target,
        content_type: "application/a2a+json",
        body: BODY,
        delivery_id,
        created,
    };
    for (id, created) in [
        ("", NOW),
        ("a b", NOW),
        ("a\nb", NOW),
        ("\u{e9}", NOW),
        ("id", i64::MAX),
        ("id", i64::MIN),
    ] {
        assert!(sign(&key, &message(id, created)).is_err(), "{id:?} {created}");
    }
}

proptest! {
    /// Whatever stands in the headers: nothing panics, and nothing but what the key made is good.
    #[test]
    fn no_header_of_a_stranger_is_good(input in "[ -~]{0,200}", signature in "[ -~]{0,120}") {
        let key = key(1);
        let mut headers = headers_of(&key, "id-1", NOW);
        set(&mut headers, SIGNATURE_INPUT, &input);
        set(&mut headers, SIGNATURE, &signature);
        prop_assert!(judge(&headers, &public(&[&key])).is_err());
    }

    /// Any id, time and body: verified as they were signed.
    #[test]
    fn whatever_is_signed_is_verified(id in "[!-~]{1,256}", created in 0_i64..4_000_000_000) {
        let key = key(1);
        let good = judge_at(&headers_of(&key, &id, created), &public(&[&key]), created).unwrap();
        prop_assert_eq!((good.delivery_id, good.created), (id, created));
    }
}

//! The headers of signed requests. What is signed is put together here once more, without a parser.

use std::cell::LazyCell;
use std::time::Duration;

use a2ad::signature::message::{COVERED, Incoming, Outgoing, Refusal, Verified, Window, sign, verify};
use a2ad::signature::{PublicKeys, SigningKey, jwk_set};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// A public seed: an input that was found does the same in the next run.
const SEED: [u8; 32] = [7; 32];
const NOW: i64 = 1_800_000_000;
const URL: &str = "https://me.example.com/hooks";
const BODY: &[u8] = b"{}";

thread_local! {
    static DESK: LazyCell<Desk> = LazyCell::new(Desk::new);
}

/// What all inputs share.
struct Desk {
    kid: String,
    keys: PublicKeys,
    pen: Ed25519KeyPair,
    /// A request that is good.
    headers: HeaderMap,
}

/// The first byte says what the rest is: both headers as they stand (up to the end of the line, and the rest), or what a
/// signature says of itself, which is then signed well.
pub fn headers(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    DESK.with(|desk| match which % 2 {
        0 => {
            let (inputs, signatures) = super::requests::split_line(rest);
            desk.judge(inputs, signatures);
        }
        _ => desk.sign(rest),
    });
}

impl Desk {
    fn new() -> Self {
        let key = SigningKey::of_seed(&SEED).expect("a key");
        let message = Outgoing {
            method: &Method::POST,
            target: &Uri::from_static(URL),
            content_type: "application/a2a+json",
            body: BODY,
            delivery_id: "id",
            created: NOW,
        };
        let mut headers: HeaderMap = sign(&key, &message).expect("signed").into_iter().collect();
        headers.insert("x-other", HeaderValue::from_static("v"));
        let desk = Self {
            kid: key.id().to_owned(),
            keys: PublicKeys::parse(jwk_set([&key]).as_bytes()).expect("a set"),
            pen: Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a key"),
            headers,
        };
        desk.verify(&desk.headers).expect("what was signed is good");
        desk
    }

    fn verify(&self, headers: &HeaderMap) -> Result<Verified, Refusal> {
        let incoming = Incoming {
            method: &Method::POST,
            target: URL,
            headers,
        };
        let window = Window {
            now: NOW,
            age_max: Duration::from_secs(300),
            leeway: Duration::from_secs(60),
        };
        verify(&incoming, &self.keys, &window)
    }

    /// What is good is this very request, however its headers are written.
    fn judge(&self, inputs: &[u8], signatures: &[u8]) -> bool {
        let mut headers = self.headers.clone();
        for (name, value) in [("signature-input", inputs), ("signature", signatures)] {
            let Ok(value) = HeaderValue::from_bytes(value) else {
                return false;
            };
            headers.insert(HeaderName::from_static(name), value);
        }
        let Ok(good) = self.verify(&headers) else {
            return false;
        };
        assert_eq!(
            (good.kid.as_str(), good.delivery_id.as_str()),
            (self.kid.as_str(), "id")
        );
        assert!((NOW - 300..=NOW + 60).contains(&good.created), "{good:?}");
        assert!(good.is_of(BODY) && !good.is_of(b""));
        true
    }

    /// Signs a text as if it were the parameters; it is good only if it says all that it has to.
    fn sign(&self, parameters: &[u8]) {
        let Ok(text) = std::str::from_utf8(parameters) else {
            return;
        };
        let list = text.split(')').next().unwrap_or_default();
        let mut base = String::new();
        let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        for name in &names {
            let value = match *name {
                "@method" => "POST",
                "@target-uri" => URL,
                name => self
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default(),
            };
            base.push_str(&format!("\"{name}\": {value}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {text}"));
        let signature = STANDARD.encode(self.pen.sign(base.as_bytes()));
        let is_good = self.judge(
            format!("s={text}").as_bytes(),
            format!("s=:{signature}:").as_bytes(),
        );
        if is_good {
            assert!(COVERED.iter().all(|name| names.contains(name)), "{text}");
            for said in [
                "tag=\"a2ad-push\"",
                &format!("keyid=\"{}\"", self.kid),
                "created=",
            ] {
                assert!(text.contains(said), "{said} is not in {text}");
            }
        }
    }
}

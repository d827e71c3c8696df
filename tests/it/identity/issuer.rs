//! An issuer of tokens: three keys, the set that it publishes, and a pen. It signs whatever it is told to.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use a2ad::config::{Config, Issuer as IssuerConfig};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::texts;

pub const ISSUER: &str = "https://idp.example.com";
pub const AUDIENCE: &str = "https://agents.example.com";

pub struct Issuer {
    pub ec: EcdsaKeyPair,
    pub ed: Ed25519KeyPair,
    pub rsa: RsaKeyPair,
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn now_s() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .cast_signed()
}

impl Issuer {
    pub fn new() -> Self {
        Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// The EC public key as a JWK.
    pub fn ec_jwk(&self, kid: &str) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
               "x": base64(&point[1..33]), "y": base64(&point[33..])})
    }

    /// The set that it publishes.
    pub fn jwks(&self) -> Value {
        let rsa = self.rsa.public_key();
        let (n, e) = (rsa.modulus(), rsa.exponent());
        json!({"keys": [
            self.ec_jwk("ec"),
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64(self.ed.public_key())},
            {"kty": "RSA", "use": "sig", "kid": "rsa",
             "n": base64(n.big_endian_without_leading_zero()), "e": base64(e.big_endian_without_leading_zero())},
        ]})
    }

    /// What a good token says.
    pub fn claims(&self, name: &str) -> Value {
        let now = now_s();
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now, "nbf": now, "exp": now + 600})
    }

    /// A token signed by ES256.
    pub fn token(&self, claims: &Value) -> String {
        self.es256(&json!({"alg": "ES256", "typ": "JWT", "kid": "ec"}), claims)
    }

    /// A good token with more claims.
    pub fn token_of(&self, name: &str, more: Value) -> String {
        let mut claims = self.claims(name);
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.token(&claims)
    }

    pub fn es256(&self, header: &Value, claims: &Value) -> String {
        signed(header, claims.to_string().as_bytes(), |text| {
            self.ec
                .sign(&SystemRandom::new(), text)
                .unwrap()
                .as_ref()
                .to_vec()
        })
    }

    pub fn eddsa(&self, header: &Value, claims: &Value) -> String {
        signed(header, claims.to_string().as_bytes(), |text| {
            self.ed.sign(text).as_ref().to_vec()
        })
    }

    pub fn rs256(&self, header: &Value, claims: &Value) -> String {
        signed(header, claims.to_string().as_bytes(), |text| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
                .unwrap();
            signature
        })
    }
}

/// The compact form, signed by `pen`.
pub fn signed(header: &Value, payload: &[u8], pen: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", base64(header.to_string()), base64(payload));
    let signature = pen(text.as_bytes());
    format!("{text}.{}", base64(signature))
}

/// An issuer whose keys are in a file.
pub struct FileIssuer {
    pub issuer: Issuer,
    dir: TempDir,
}

impl FileIssuer {
    pub fn new() -> Self {
        let issuer = Issuer::new();
        let dir = tempfile::tempdir().unwrap();
        let this = Self { issuer, dir };
        this.publish(&this.issuer.jwks());
        this
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("keys.json")
    }

    /// Replaces the file as an operator should, so that nobody reads half of it.
    pub fn publish(&self, jwks: &Value) {
        let new = self.dir.path().join("new.json");
        std::fs::write(&new, jwks.to_string()).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }

    /// Has its tokens taken.
    pub fn trust(&self, config: &mut Config) {
        let issuer = IssuerConfig {
            issuer: ISSUER.to_owned(),
            audiences: texts(&["other", AUDIENCE]),
            keys_file: Some(self.path()),
            ..IssuerConfig::default()
        };
        config.auth.issuers.insert("idp".to_owned(), issuer);
    }
}

//! Signed agent cards (specification 8.4): through the wire, against every change, and with what others have written.

mod forgeries;
mod keys;
mod mutations;
mod program;
mod sdk;
mod wire;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use a2ad::pb::{AgentCard, AgentCardSignature, json};
use a2ad::signature::{PublicKeys, SigningKey, canonical, jwk_set, sign};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::identity::issuer::base64;

/// Both algorithms that sign cards.
const ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// A new key, in a file as an operator keeps it and in the test's own hands.
pub struct Pen {
    folder: tempfile::TempDir,
    der: Vec<u8>,
    algorithm: &'static str,
}

impl Pen {
    pub fn new(algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let der = if algorithm == "ES256" {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .unwrap()
                .as_ref()
                .to_vec()
        } else {
            // As openssl writes it.
            Ed25519KeyPair::generate_pkcs8v1(&random)
                .unwrap()
                .as_ref()
                .to_vec()
        };
        let pen = Self {
            folder: tempfile::tempdir().unwrap(),
            der,
            algorithm,
        };
        let pem = pem("PRIVATE KEY", &pen.der);
        std::fs::write(pen.path(), pem).unwrap();
        std::fs::set_permissions(pen.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        pen
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("card.key")
    }

    pub fn key(&self, id: &str) -> SigningKey {
        SigningKey::read(&self.path(), Some(id), None).unwrap()
    }

    fn keys(&self, id: &str) -> PublicKeys {
        PublicKeys::parse(jwk_set([&self.key(id)]).as_bytes()).unwrap()
    }

    /// Signs the card with any header.
    fn sign_under(&self, header: &Value, card: &AgentCard) -> AgentCardSignature {
        self.sign_payload(header, &base64(canonical(card).unwrap()))
    }

    /// Signs a payload in base64.
    fn sign_payload(&self, header: &Value, payload: &str) -> AgentCardSignature {
        let protected = base64(header.to_string());
        let input = format!("{protected}.{payload}");
        let signature = if self.algorithm == "ES256" {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.der).unwrap();
            let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
            base64(signature.as_ref())
        } else {
            let pair = Ed25519KeyPair::from_pkcs8(&self.der).unwrap();
            base64(pair.sign(input.as_bytes()).as_ref())
        };
        AgentCardSignature {
            protected,
            signature,
            header: None,
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A card with something in every field, and with required fields that are empty.
fn rich_card() -> AgentCard {
    let text = r#"{
        "name": "Rich", "description": "", "version": "1.0 \u20ac",
        "supportedInterfaces": [
            {"url": "https://a.example", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            {"url": "https://b.example", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "t"}],
        "provider": {"organization": "O", "url": "https://o.example"},
        "documentationUrl": "https://d.example", "iconUrl": "",
        "capabilities": {"streaming": false, "pushNotifications": true, "extensions": [
            {"uri": "urn:x", "description": "d", "required": true, "params":
                {"b": [1, 2.5, "", null, {"deep": false}], "a": {"\ud83d\ude00": -1e-9, "": {}}}}]},
        "securitySchemes": {
            "key": {"apiKeySecurityScheme": {"location": "header", "name": "x-api-key"}},
            "jwt": {"httpAuthSecurityScheme": {"scheme": "Bearer", "bearerFormat": "JWT"}}},
        "securityRequirements": [{"schemes": {"jwt": {"list": ["a", "b"]}}}, {"schemes": {"key": {}}}],
        "defaultInputModes": ["text/plain", "application/json"], "defaultOutputModes": [],
        "skills": [
            {"id": "one", "name": "One", "description": "first", "tags": ["x", "y"], "examples": ["e"],
             "inputModes": ["text/plain"], "outputModes": ["text/plain"]},
            {"id": "two", "name": "Two", "description": "", "tags": []}]}"#;
    json::from_str(text).unwrap()
}

pub fn signed(card: &AgentCard, key: &SigningKey) -> AgentCard {
    AgentCard {
        signatures: vec![sign(card, key).unwrap()],
        ..card.clone()
    }
}

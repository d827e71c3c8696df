//! The keys of this server that sign, and their public halves.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{Error, canonical, header};
use crate::pb::{AgentCard, AgentCardSignature};

/// More than any key of these kinds has, with comments around it.
const FILE_BYTES_MAX: u64 = 16_384;

const MAKE_ONE: &str = "make one with `openssl genpkey -algorithm ED25519 -out FILE`";

/// What RFC 9421 calls the algorithms of these keys.
pub(super) const P256_OF_MESSAGES: &str = "ecdsa-p256-sha256";
pub(super) const ED25519_OF_MESSAGES: &str = "ed25519";

/// A private key, its id, and where its public half can be had. It shows none of its secret to `Debug`.
pub struct SigningKey {
    pair: Pair,
    id: String,
    url: Option<String>,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a key from a PEM file (PKCS#8) of P-256 or Ed25519. Without an `id` it has its thumbprint (RFC 7638) for one.
    /// `url` is where verifiers find it (`jku`), if that is to stand in signatures.
    ///
    /// # Errors
    /// [`Error::KeyFile`] when the file can't be read, others may read it, or it holds no such key.
    pub fn read(path: &Path, id: Option<&str>, url: Option<&str>) -> Result<Self, Error> {
        let wrong = |why: String| Error::KeyFile {
            path: path.to_owned(),
            why,
        };
        let pem = read_private(path).map_err(wrong)?;
        let pair = Pair::of(&pem).map_err(wrong)?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => thumbprint(&pair.public())?,
        };
        Ok(Self {
            pair,
            id,
            url: url.map(str::to_owned),
        })
    }

    /// The Ed25519 key of a seed (RFC 8032 section 5.1.5) of 32 secret bytes, with its thumbprint for an id.
    ///
    /// # Errors
    /// [`Error::Random`] when the cryptographic library fails.
    pub fn of_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Random)?;
        let pair = Pair::Ed25519(pair);
        Ok(Self {
            id: thumbprint(&pair.public())?,
            pair,
            url: None,
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The algorithm as signatures of messages name it (RFC 9421 section 6.2.2).
    pub(super) fn message_algorithm(&self) -> &'static str {
        match self.pair {
            Pair::P256(_) => P256_OF_MESSAGES,
            Pair::Ed25519(_) => ED25519_OF_MESSAGES,
        }
    }

    /// A signature of these bytes: of P-256 the two numbers one after the other, as both RFC 7518 and RFC 9421 want them.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair.sign(bytes)
    }

    /// The public half as a JWK (RFC 7517).
    fn jwk(&self) -> Value {
        let mut jwk = self.pair.public();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("use".to_owned(), json!("sig"));
            members.insert("alg".to_owned(), json!(self.pair.algorithm()));
            members.insert("kid".to_owned(), json!(self.id));
        }
        jwk
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.pair.algorithm())
            .finish_non_exhaustive()
    }
}

/// Signs a card as it is; signatures that it has already are not part of what is signed.
///
/// # Errors
/// [`Error::Card`] when the card has no canonical form, [`Error::Random`] when the system has no randomness.
pub fn sign(card: &AgentCard, key: &SigningKey) -> Result<AgentCardSignature, Error> {
    let protected = header::write(key.pair.algorithm(), &key.id, key.url.as_deref());
    let input = signing_input(&protected, &canonical(card)?);
    Ok(AgentCardSignature {
        signature: URL_SAFE_NO_PAD.encode(key.pair.sign(input.as_bytes())?),
        protected,
        header: None,
    })
}

/// The JWK set with the public halves of these keys, as JSON.
pub fn jwk_set<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> String {
    let keys: Vec<Value> = keys.into_iter().map(SigningKey::jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// What is signed of a header and a payload (RFC 7515 section 5.1).
pub(super) fn signing_input(protected: &str, payload: &[u8]) -> String {
    format!("{protected}.{}", URL_SAFE_NO_PAD.encode(payload))
}

impl Pair {
    fn of(pem: &[u8]) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|_| format!("it holds no PEM of PKCS#8 (BEGIN PRIVATE KEY); {MAKE_ONE}"))?;
        let der = der.secret_pkcs8_der();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map(Self::P256)
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519))
            .map_err(|_| format!("its key is neither of P-256 nor of Ed25519; {MAKE_ONE}"))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), input);
                Ok(signature.map_err(|_| Error::Random)?.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
        }
    }

    /// The members of the JWK that make up the key.
    fn public(&self) -> Value {
        match self {
            Self::P256(pair) => {
                // Uncompressed: a byte that says so, and the two coordinates.
                let (_, point) = pair.public_key().as_ref().split_at(1);
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())})
            }
        }
    }
}

/// RFC 7638: the digest of exactly the members that make up a key, in the order of their names.
fn thumbprint(public: &Value) -> Result<String, Error> {
    let text = serde_json_canonicalizer::to_vec(public).map_err(|error| Error::Card(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &text)))
}

/// The file, if only its owner may read it.
fn read_private(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("{error}; check that this user may read it"))?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.mode() & 0o077 != 0 {
        return Err("others may read it; run chmod 600 on it".to_owned());
    }
    let mut pem = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut pem);
    read.map_err(|error| error.to_string())?;
    Ok(pem)
}

//! The form of a key: `a2ad_ID_SECRET`. The id finds its row, the secret proves it, and the prefix lets scanners of source
//! code recognise one that leaked. The end of the id is a tag over its beginning: an id that nobody was given is known as
//! such without a look at the database.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::hex;
use crate::config::Secret;
use crate::repository::ApiKeyRow;
use crate::secrets::{self, Keyring};

const PREFIX: &str = "a2ad_";
/// Random bytes in an id, written in hex.
const ID_BYTES: usize = 8;
/// Bytes of the tag behind them, in hex as well.
const TAG_BYTES: usize = 4;
/// Random bytes in a secret, written in base64url.
const SECRET_BYTES: usize = 32;
/// What the tag is for.
const ID_PURPOSE: &str = "api key id";
/// What the hash is for; a hash made for something else with the same key is another one.
const PURPOSE: &str = "api key";

/// A key as a request shows it; well-formed, and nothing more.
pub struct ApiKey<'a> {
    /// The public part.
    pub id: &'a str,
    /// The whole key.
    whole: &'a str,
}

impl<'a> ApiKey<'a> {
    /// Takes a key apart; `None` when it is none of ours.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_id = id.len() == 2 * (ID_BYTES + TAG_BYTES)
            && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_secret = URL_SAFE_NO_PAD
            .decode(secret)
            .is_ok_and(|bytes| bytes.len() == SECRET_BYTES);
        (is_id && is_secret).then_some(Self { id, whole: text })
    }

    /// Whether the id is one that was made here, with one of the keys of the ring.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn is_ours(&self, keyring: &Keyring) -> Result<bool, secrets::Error> {
        let (random, tag) = self.id.split_at(2 * ID_BYTES);
        for key in keyring.ids() {
            if hex(&keyring.mac_with(key, ID_PURPOSE, random.as_bytes())?[..TAG_BYTES]) == tag {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this is the key that a row was made of; compared in constant time.
    ///
    /// # Errors
    /// When the key that the row's hash was made with is not in the ring.
    pub fn is_of(&self, row: &ApiKeyRow, keyring: &Keyring) -> Result<bool, secrets::Error> {
        keyring.verify_mac(row.hash_key, PURPOSE, self.whole.as_bytes(), &row.hash)
    }
}

/// Whose a new key is, and what it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The name of the caller, without `key:`.
    pub name: String,
    /// The caller's organisation.
    pub organisation: Option<String>,
    /// The scopes of the key, single words.
    pub scopes: Vec<String>,
    /// The time now, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// A key that was just made: its text, which nobody sees again, and what is kept of it.
pub struct NewApiKey {
    /// The key itself.
    pub text: Secret<String>,
    /// What is kept.
    pub row: ApiKeyRow,
}

impl NewApiKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn make(bearer: Bearer, keyring: &Keyring) -> Result<Self, secrets::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        for bytes in [&mut id[..], &mut secret[..]] {
            rand::fill(bytes).map_err(|_| secrets::Error::Random)?;
        }
        let random = hex(&id);
        let (_, tag) = keyring.mac(ID_PURPOSE, random.as_bytes())?;
        let id = format!("{random}{}", hex(&tag[..TAG_BYTES]));
        let text = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
        let (hash_key, hash) = keyring.mac(PURPOSE, text.as_bytes())?;
        Ok(Self {
            text: Secret::new(text),
            row: ApiKeyRow {
                id,
                hash: hash.to_vec(),
                hash_key,
                name: bearer.name,
                organisation: bearer.organisation,
                scopes: bearer.scopes,
                created_ms: bearer.created_ms,
                expires_ms: bearer.expires_ms,
                revoked_ms: None,
            },
        })
    }
}

//! API keys as they are kept: who bears them and what they may, and of the key itself a hash.

use async_trait::async_trait;

use super::types::Error;
use crate::secrets::KeyId;

/// One API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The public part of the key, by which it is found.
    pub id: String,
    /// The keyed hash of the whole key.
    pub hash: Vec<u8>,
    /// Which of the runtime's keys the hash was made with.
    pub hash_key: KeyId,
    /// The name of the caller: several keys may have one, which is how they are replaced.
    pub name: String,
    /// The caller's organisation.
    pub organisation: Option<String>,
    /// The scopes of the key.
    pub scopes: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// When it was revoked, in milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

/// Finds API keys.
#[async_trait]
pub trait ApiKeyRepository: Send + Sync + 'static {
    /// The key with this id, revoked ones among them.
    ///
    /// # Errors
    /// When the database is away.
    async fn api_key(&self, id: &str) -> Result<Option<ApiKeyRow>, Error>;
}

//! Tokens as they are kept.

use async_trait::async_trait;

use crate::config::Secret;

/// A token with what belongs to it. Times are in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// What is shown to agents.
    pub access_token: Secret<String>,
    /// What a new one is got with.
    pub refresh_token: Option<Secret<String>>,
    /// When it is to be renewed; `None` if its end is not known.
    pub due_ms: Option<i64>,
    /// When it ends.
    pub expires_ms: Option<i64>,
}

impl StoredToken {
    /// Whether it can be used without a thought.
    pub(super) fn is_fresh(&self, now_ms: i64) -> bool {
        self.due_ms.is_none_or(|due| now_ms < due)
    }

    /// Whether it still counts.
    pub(super) fn is_alive(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// Where tokens are kept beyond the life of a process. They are secrets: a file is the user's alone.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// The token of this name ([`OAuthSettings::key`](super::OAuthSettings::key)).
    ///
    /// # Errors
    /// A sentence, when the store can't be read.
    async fn load(&self, key: &str) -> Result<Option<StoredToken>, String>;

    /// Keeps a token in place of an older one.
    ///
    /// # Errors
    /// A sentence, when the store can't be written.
    async fn save(&self, key: &str, token: &StoredToken) -> Result<(), String>;

    /// Forgets a token.
    ///
    /// # Errors
    /// A sentence, when the store can't be written.
    async fn remove(&self, key: &str) -> Result<(), String>;
}

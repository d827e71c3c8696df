//! Where documents are kept, so that they need not be fetched again.

use std::sync::Arc;

use async_trait::async_trait;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

/// A document with what its server said about keeping it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDocument {
    /// The text.
    pub text: String,
    /// What names this version (`ETag`).
    pub etag: Option<String>,
    /// When it was changed last, as the server wrote it.
    pub last_modified: Option<String>,
    /// Until when it is used without asking, in milliseconds since the Unix epoch.
    pub fresh_until_ms: i64,
    /// Whether it came from this machine or from a network of one's own ([`is_inner`](crate::egress::is_inner)).
    #[serde(default)]
    pub is_inner: bool,
}

/// A cache of documents by URL. What it loses is fetched again, so its failures are nobody's errors; what it answers is
/// checked like what a server sends.
#[async_trait]
pub trait CardStore: Send + Sync + 'static {
    /// What was put there last.
    async fn get(&self, url: &str) -> Option<Arc<StoredDocument>>;

    /// Keeps a document in place of an older one.
    async fn put(&self, url: &str, document: Arc<StoredDocument>);

    /// Forgets a document.
    async fn remove(&self, url: &str);
}

/// Documents in memory, up to a number of bytes; those go first that nobody asks for.
#[derive(Debug)]
pub struct MemoryCards(Cache<String, Arc<StoredDocument>, Bytes>);

/// A cache keeps at least this many entries' worth of room to sort them by.
const ENTRIES: usize = 64;

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<String, Arc<StoredDocument>> for Bytes {
    fn weight(&self, url: &String, document: &Arc<StoredDocument>) -> u64 {
        (url.len() + document.text.len() + size_of::<StoredDocument>()) as u64
    }
}

impl MemoryCards {
    /// Keeps documents of so many bytes in all.
    pub fn new(bytes_max: usize) -> Self {
        Self(Cache::with_weighter(ENTRIES, bytes_max as u64, Bytes))
    }
}

#[async_trait]
impl CardStore for MemoryCards {
    async fn get(&self, url: &str) -> Option<Arc<StoredDocument>> {
        self.0.get(url)
    }

    async fn put(&self, url: &str, document: Arc<StoredDocument>) {
        self.0.insert(url.to_owned(), document);
    }

    async fn remove(&self, url: &str) {
        self.0.remove(url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_bounded_by_bytes() {
        let document = |bytes: usize| {
            Arc::new(StoredDocument {
                text: "x".repeat(bytes),
                etag: None,
                last_modified: None,
                fresh_until_ms: 0,
                is_inner: false,
            })
        };
        let store = MemoryCards::new(64 * 1_024);
        for number in 0..200 {
            store
                .put(&format!("https://a.example/{number}"), document(4_096))
                .await;
            assert!(store.0.weight() <= 64 * 1_024);
        }
        assert!(store.0.len() > 1);
        store.put("https://a.example/last", document(1)).await;
        store.remove("https://a.example/last").await;
        assert!(store.get("https://a.example/last").await.is_none());
    }
}

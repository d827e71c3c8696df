//! Cards that were fetched, kept in the user's cache folder as long as their servers allow (a2a-cli specification 10.1).
//!
//! Whatever goes wrong here only means that a card is fetched again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use a2ad::client::card::{CardStore, StoredDocument};
use a2ad::task::new_id;
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::io::AsyncReadExt as _;

/// The most cards that are kept.
const FILES_MAX: usize = 128;
/// The largest file that is read, in bytes: a card and what is said about it, with its quotes escaped.
const BYTES_MAX: u64 = 3 << 20;

/// One file.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    document: StoredDocument,
}

/// A folder of cards.
#[derive(Debug)]
pub struct FileCards {
    folder: PathBuf,
}

impl FileCards {
    /// In the cache folder of this user; `None` if there is none.
    pub fn of_user() -> Option<Self> {
        let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let named = named.filter(|path| path.is_absolute());
        let cache = named.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(Self {
            folder: cache.join("a2a-cli/cards"),
        })
    }

    fn path(&self, url: &str) -> PathBuf {
        let hash = digest(&SHA256, url.as_bytes());
        let name: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.json"))
    }

    async fn write(&self, url: &str, kept: &Kept) -> std::io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .await?;
        self.make_room().await?;
        let beside = self.folder.join(format!(".{}", new_id()));
        let json = serde_json::to_vec(kept)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .await?;
        let written = tokio::io::AsyncWriteExt::write_all(&mut file, &json).await;
        let flushed = tokio::io::AsyncWriteExt::flush(&mut file).await;
        // Somebody else may read at the same time: a file is whole, or not there.
        match written.and(flushed) {
            Ok(()) => fs::rename(&beside, self.path(url)).await,
            Err(error) => {
                fs::remove_file(&beside).await?;
                Err(error)
            }
        }
    }

    /// Removes what was written longest ago, until there is room for one more.
    async fn make_room(&self) -> std::io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        let mut entries = fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            files.push((entry.metadata().await?.modified()?, entry.path()));
        }
        files.sort();
        let too_many = (files.len() + 1).saturating_sub(FILES_MAX);
        for (_, path) in files.iter().take(too_many) {
            fs::remove_file(path).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl CardStore for FileCards {
    async fn get(&self, url: &str) -> Option<Arc<StoredDocument>> {
        let file = fs::File::open(self.path(url)).await.ok()?;
        let mut json = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut json).await.ok()?;
        let kept: Kept = serde_json::from_slice(&json).ok()?;
        (kept.url == url).then(|| Arc::new(kept.document))
    }

    async fn put(&self, url: &str, document: Arc<StoredDocument>) {
        let kept = Kept {
            url: url.to_owned(),
            document: (*document).clone(),
        };
        // Without a cache everything works all the same.
        let _ = self.write(url, &kept).await;
    }

    async fn remove(&self, url: &str) {
        let _ = fs::remove_file(self.path(url)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn document(text: &str) -> Arc<StoredDocument> {
        Arc::new(StoredDocument {
            text: text.to_owned(),
            etag: Some("\"1\"".into()),
            last_modified: None,
            fresh_until_ms: 1,
            is_inner: false,
        })
    }

    #[tokio::test]
    async fn cards_are_kept_for_their_user_up_to_a_number() {
        let home = tempfile::tempdir().unwrap();
        let cards = FileCards {
            folder: home.path().join("a/b"),
        };
        assert!(cards.get("https://a").await.is_none());
        for number in 0..FILES_MAX + 5 {
            cards.put(&format!("https://a/{number}"), document("x")).await;
        }
        let last = format!("https://a/{}", FILES_MAX + 4);
        assert_eq!(cards.get(&last).await, Some(document("x")));
        assert_eq!(std::fs::read_dir(&cards.folder).unwrap().count(), FILES_MAX);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cards.folder), mode(&cards.path(&last))), (0o700, 0o600));
        // One that stands under the name of another, and one that is none.
        std::fs::copy(cards.path(&last), cards.path("https://b")).unwrap();
        assert_eq!(cards.get("https://b").await, None);
        std::fs::write(cards.path(&last), "{").unwrap();
        assert_eq!(cards.get(&last).await, None);
        cards.put(&last, document("y")).await;
        assert_eq!(cards.get(&last).await, Some(document("y")));
        cards.remove(&last).await;
        assert_eq!(cards.get(&last).await, None);
    }
}

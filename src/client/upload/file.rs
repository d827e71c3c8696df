//! A file as a content.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::fs::File;

use super::{Content, ContentReader};

/// A regular file. It is opened when it is sent, anew for each attempt, and has to be the same as when this was made: one
/// whose length or time of change is another one is not sent.
#[derive(Clone, Debug)]
pub struct FileContent {
    path: PathBuf,
    name: String,
    length: u64,
    modified: Option<SystemTime>,
}

impl FileContent {
    /// The file at `path`, as it is now.
    ///
    /// # Errors
    /// When it can't be opened to be read, or is no regular file: the length of others is not known before they are read.
    pub async fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        // Opening a pipe would wait for who writes to it.
        let metadata = tokio::fs::metadata(path).await?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        File::open(path).await?;
        Ok(Self {
            path: path.to_owned(),
            name: path.display().to_string(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

#[async_trait]
impl Content for FileContent {
    fn name(&self) -> &str {
        &self.name
    }

    fn length(&self) -> u64 {
        self.length
    }

    async fn open(&self) -> io::Result<ContentReader> {
        let file = File::open(&self.path).await?;
        let metadata = file.metadata().await?;
        if metadata.len() != self.length || metadata.modified().ok() != self.modified {
            return Err(io::Error::other(
                "it has changed since it was looked at; send it again when nothing writes to it",
            ));
        }
        Ok(Box::pin(file))
    }
}

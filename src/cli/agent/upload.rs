//! A file that goes out, for somebody who looks at a terminal.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use a2ad::client::upload::{Content, ContentReader, FileContent};
use async_trait::async_trait;
use tokio::io::{AsyncRead, ReadBuf};

use super::progress::Progress;

/// A file that tells how much of it was read.
#[derive(Debug)]
pub struct Shown {
    file: FileContent,
    progress: Progress,
}

impl Shown {
    pub fn new(file: FileContent, progress: &Progress) -> Self {
        Self {
            file,
            progress: progress.clone(),
        }
    }
}

#[async_trait]
impl Content for Shown {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn length(&self) -> u64 {
        self.file.length()
    }

    async fn open(&self) -> io::Result<ContentReader> {
        Ok(Box::pin(Counted {
            reader: self.file.open().await?,
            progress: self.progress.clone(),
            name: format!("sending {}", self.name()),
            read: 0,
            length: self.length(),
        }))
    }
}

struct Counted {
    reader: ContentReader,
    progress: Progress,
    name: String,
    read: u64,
    length: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.reader.as_mut().poll_read(context, buffer))?;
        self.read += (buffer.filled().len() - before) as u64;
        if self.read < self.length {
            self.progress.bytes(&self.name, self.read, self.length);
        } else {
            self.progress.say("waiting for the agent's answer".to_owned());
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn each_reading_counts_from_the_start_and_ends_in_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big.bin");
        std::fs::write(&path, [7; 10]).unwrap();
        let bar = indicatif::ProgressBar::hidden();
        let file = FileContent::of(&path).await.unwrap();
        let shown = Shown::new(file, &Progress::on(bar.clone()));
        for _ in 0..2 {
            let mut reader = shown.open().await.unwrap();
            reader.read_exact(&mut [0; 4]).await.unwrap();
            assert_eq!((bar.position(), bar.length()), (4, Some(10)));
            assert_eq!(bar.message(), format!("sending {}", path.display()));
            reader.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(bar.message(), "waiting for the agent's answer");
        }
    }
}

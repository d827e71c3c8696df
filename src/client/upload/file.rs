//! A file as a content.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, ReadBuf};

use super::{Content, ContentReader};

/// A regular file. It is opened when it is sent, anew for each attempt, and has to be the same as when this was made, when it
/// is opened and when it was read: one whose length or times of change are others is not sent.
#[derive(Clone, Debug)]
pub struct FileContent {
    path: PathBuf,
    name: String,
    state: State,
}

/// What a file that nobody writes to has again. Times in nanoseconds, as exact as the file system keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    /// # Errors
    /// When it is no regular file.
    fn of(metadata: &Metadata) -> io::Result<Self> {
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        Ok(Self {
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// # Errors
    /// When the file is another one by now.
    fn check(self, metadata: &Metadata) -> io::Result<()> {
        if Self::of(metadata)? == self {
            return Ok(());
        }
        Err(io::Error::other(
            "it has changed since it was looked at; send it again when nothing writes to it",
        ))
    }
}

impl FileContent {
    /// The file at `path`, as it is now.
    ///
    /// # Errors
    /// When it can't be opened to be read; when it is no regular file, because the length of others is not known before they
    /// are read; and, as [`io::ErrorKind::InvalidData`], when it has not the length that it says, as files of `/sys`.
    pub async fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        // Opening a pipe would wait for who writes to it.
        let state = State::of(&tokio::fs::metadata(path).await?)?;
        let mut file = File::open(path).await?;
        if !has_length(&mut file, state.length).await? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it has not the length that it says; send it again when nothing writes to it",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            name: path.display().to_string(),
            state,
        })
    }
}

/// Whether a file ends where it says.
async fn has_length(file: &mut File, length: u64) -> io::Result<bool> {
    let last = length.saturating_sub(1);
    file.seek(io::SeekFrom::Start(last)).await?;
    let mut end = Vec::new();
    file.take(2).read_to_end(&mut end).await?;
    Ok(end.len() as u64 == length - last)
}

#[async_trait]
impl Content for FileContent {
    fn name(&self) -> &str {
        &self.name
    }

    fn length(&self) -> u64 {
        self.state.length
    }

    async fn open(&self) -> io::Result<ContentReader> {
        // It may have become a pipe.
        self.state.check(&tokio::fs::metadata(&self.path).await?)?;
        let file = File::open(&self.path).await?;
        self.state.check(&file.metadata().await?)?;
        Ok(Box::pin(Checked {
            step: Step::Reading(file),
            state: self.state,
        }))
    }
}

/// A file that has to be what it was when its end is read, because what was written over it is of the same length.
struct Checked {
    step: Step,
    state: State,
}

enum Step {
    Reading(File),
    Checking(Pin<Box<dyn Future<Output = io::Result<Metadata>> + Send>>),
    Over,
}

impl AsyncRead for Checked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match &mut self.step {
                Step::Reading(file) => {
                    let before = buffer.filled().len();
                    ready!(Pin::new(file).poll_read(context, buffer))?;
                    if buffer.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                    if let Step::Reading(file) = std::mem::replace(&mut self.step, Step::Over) {
                        self.step = Step::Checking(Box::pin(async move { file.metadata().await }));
                    }
                }
                Step::Checking(metadata) => {
                    let metadata = ready!(metadata.as_mut().poll(context));
                    self.step = Step::Over;
                    return Poll::Ready(metadata.and_then(|metadata| self.state.check(&metadata)));
                }
                Step::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

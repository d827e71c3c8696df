//! The lines in a file or on standard output.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::chain::Before;
use super::error::OpenError;
use super::lines::Stdout;
use super::verify::head_of;

/// Only the service's own user reads who did what.
const MODE: u32 = 0o600;

/// How much is read at first to find the last line; records are rarely a tenth of it.
const WINDOW: u64 = 64 * 1024;

/// Where lines go.
pub(super) enum Sink {
    Stdout(Stdout),
    File(Box<Target>),
}

/// An open file, locked against other processes.
pub(super) struct Target {
    path: PathBuf,
    file: tokio::fs::File,
    /// The device and the inode: what the name must still lead to.
    id: (u64, u64),
    /// The bytes that are whole records.
    length: u64,
    /// A piece of a record stands behind them.
    is_torn: bool,
}

impl Sink {
    pub(super) fn stdout() -> Result<Self, OpenError> {
        let stdout = Stdout::open().map_err(|cause| OpenError::File {
            path: PathBuf::from("stdout"),
            cause,
        })?;
        Ok(Self::Stdout(stdout))
    }

    /// Opens the file and takes a torn last line out of it.
    pub(super) fn open(path: &Path) -> Result<(Self, Before), OpenError> {
        let (target, before) = Target::open(path)?;
        Ok((Self::File(Box::new(target)), before))
    }

    /// Goes on in a new file when the old one was renamed or removed; true if so.
    ///
    /// # Errors
    /// When the new file can't be opened.
    pub(super) async fn follow(&mut self) -> Result<bool, OpenError> {
        let Self::File(target) = self else {
            return Ok(false);
        };
        let there = tokio::fs::metadata(&target.path).await;
        if there.is_ok_and(|there| id(&there) == target.id) {
            return Ok(false);
        }
        // What was written to the old file is as safe as what will be.
        let _ = target.file.sync_data().await;
        **target = Target::open(&target.path)?.0;
        Ok(true)
    }

    /// Writes whole lines, or none of them; on standard output, after an error, what is left of the same lines, which have
    /// to come again.
    pub(super) async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.write(lines).await,
            Self::File(target) => target.write(lines).await,
        }
    }

    /// Waits until what was written is on the disk.
    pub(super) async fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(target) => target.file.sync_data().await,
        }
    }
}

impl Target {
    fn open(path: &Path) -> Result<(Self, Before), OpenError> {
        let refused = |cause| OpenError::File {
            path: path.to_owned(),
            cause,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(MODE)
            .open(path)
            .map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(refused(cause)),
        }
        let metadata = file.metadata().map_err(refused)?;
        let (before, length) = repaired(&mut file, metadata.len()).map_err(refused)?;
        let target = Self {
            path: path.to_owned(),
            file: tokio::fs::File::from_std(file),
            id: id(&metadata),
            length,
            is_torn: false,
        };
        Ok((target, before))
    }

    async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.length).await?;
            self.is_torn = false;
        }
        let mut written = self.file.write_all(lines).await;
        if written.is_ok() {
            written = self.file.flush().await;
        }
        match written {
            Ok(()) => self.length += lines.len() as u64,
            Err(_) => self.is_torn = self.file.set_len(self.length).await.is_err(),
        }
        written
    }
}

fn id(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Takes a torn last line out; what the file ends with then, and how long it is.
fn repaired(file: &mut File, length: u64) -> io::Result<(Before, u64)> {
    let mut before = Before::default();
    let mut window = WINDOW;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        (&mut *file).take(length - start).read_to_end(&mut end)?;
        let whole = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines = end.get(..whole.saturating_sub(1)).unwrap_or_default();
        let line = lines.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        if start > 0 && (whole == 0 || line.is_none()) {
            window = window.saturating_mul(4);
            continue;
        }
        let torn = (end.len() - whole) as u64;
        if torn > 0 {
            tracing::warn!(
                bytes = torn,
                "the last audit record was torn by a crash; it is taken out"
            );
            file.set_len(length - torn)?;
            file.sync_data()?;
            before.torn_bytes = Some(torn);
        }
        let last = lines.get(line.unwrap_or(0)..).unwrap_or_default();
        before.file = std::str::from_utf8(last).ok().and_then(head_of);
        if before.file.is_none() && !last.is_empty() {
            tracing::error!("the last line of the audit file is not a record; a2ad audit verify says more");
        }
        return Ok((before, length - torn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Chain;
    use crate::audit::record::{Kind, Record};
    use crate::clock::Clock;

    #[test]
    fn a_torn_line_of_any_length_is_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut chain, genesis) = Chain::begin(&Clock::system(), Before::default());
        let second = chain.add(0, Record::about(Kind::Call, "ok"));
        let whole = format!("{}\n{}\n", genesis.text, second.text);
        for torn in 0..second.text.len() {
            std::fs::write(&path, format!("{whole}{}", &second.text[..torn])).unwrap();
            let (_, before) = Target::open(&path).unwrap();
            assert_eq!(before.torn_bytes, (torn > 0).then_some(torn as u64));
            assert_eq!(before.file.map(|head| head.seq), Some(2), "{torn}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
        std::fs::write(&path, "").unwrap();
        let (_target, before) = Target::open(&path).unwrap();
        assert!(before.file.is_none() && before.torn_bytes.is_none());
        assert!(matches!(Target::open(&path), Err(OpenError::InUse(_))));
    }
}

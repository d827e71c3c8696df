//! The lines in a file or on standard output.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::chain::Before;
use super::error::OpenError;
use super::lines::Stdout;
use super::record::{Head, Record};

/// Only the service's own user reads who did what.
const MODE: u32 = 0o600;

/// How much is read at first to find the end of the last batch.
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
    /// The bytes that are whole batches.
    length: u64,
    /// A piece of a batch stands behind them.
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

    /// Opens the file and takes torn records out of its end.
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

/// Takes torn records out of the end; what the file ends with then, and how long it is.
fn repaired(file: &mut File, length: u64) -> io::Result<(Before, u64)> {
    let mut window = WINDOW;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        (&mut *file).take(length - start).read_to_end(&mut end)?;
        let Some(found) = end_of(&end, start == 0) else {
            window = window.saturating_mul(4);
            continue;
        };
        let mut before = Before {
            file: found.head,
            ..Before::default()
        };
        let torn = (end.len() - found.length) as u64;
        if torn > 0 {
            tracing::warn!(
                bytes = torn,
                "the last audit records were torn by a crash; they are taken out"
            );
            file.set_len(length - torn)?;
            file.sync_data()?;
            before.torn_bytes = Some(torn);
        }
        if before.file.is_none() && found.length > 0 {
            tracing::error!("the last line of the audit file is not a record; a2ad audit verify says more");
        }
        return Ok((before, length - torn));
    }
}

/// How a file ends.
struct End {
    /// Bytes up to the last batch that is whole, or up to a line that no batch explains.
    length: usize,
    head: Option<Head>,
}

/// Looks for the last whole batch in the end of a file, from behind: what is a record behind it is of a batch that was
/// torn. A line that is no record was not written by this program, and stays. `None` if more of the file is needed.
fn end_of(bytes: &[u8], is_all: bool) -> Option<End> {
    let mut length = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let whole = length;
    while length > 0 {
        let lines = bytes.get(..length - 1).unwrap_or_default();
        let begin = lines.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        if begin.is_none() && !is_all {
            return None;
        }
        let begin = begin.unwrap_or(0);
        let line = std::str::from_utf8(lines.get(begin..).unwrap_or_default());
        let record = line
            .ok()
            .and_then(|line| serde_json::from_str::<Record<'_>>(line).ok());
        let Some(record) = record else {
            return Some(End {
                length: whole,
                head: None,
            });
        };
        if record.hash.is_some() {
            return Some(End {
                length,
                head: record.head(),
            });
        }
        length = begin;
    }
    is_all.then_some(End { length, head: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Chain;
    use crate::audit::record::Kind;
    use crate::clock::Clock;

    /// A batch of one record, and one of three.
    fn batches() -> (String, String) {
        let mut chain = Chain::begin(&Clock::system(), &Before::default());
        let first = chain.close().unwrap();
        for _ in 0..3 {
            chain.add(0, Kind::Call, |line| line.text("outcome", "ok"));
        }
        (first.text + "\n", chain.close().unwrap().text + "\n")
    }

    #[test]
    fn a_torn_batch_of_any_length_is_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (first, second) = batches();
        for (whole, seq) in [(String::new(), None), (first, Some(1))] {
            for torn in 0..second.len() {
                std::fs::write(&path, format!("{whole}{}", &second[..torn])).unwrap();
                let (_, before) = Target::open(&path).unwrap();
                assert_eq!(before.torn_bytes, (torn > 0).then_some(torn as u64));
                assert_eq!(before.file.map(|head| head.seq), seq, "{torn}");
                assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
            }
            std::fs::write(&path, format!("{whole}{second}")).unwrap();
            let (_, before) = Target::open(&path).unwrap();
            assert_eq!(before.file.map(|head| head.seq), Some(4));
        }
        std::fs::write(&path, "").unwrap();
        let (_target, before) = Target::open(&path).unwrap();
        assert!(before.file.is_none() && before.torn_bytes.is_none());
        assert!(matches!(Target::open(&path), Err(OpenError::InUse(_))));
    }

    /// What somebody has written over records is no torn batch: it has to be found by who verifies the file.
    #[test]
    fn what_is_no_record_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (first, second) = batches();
        let lines: Vec<_> = second.split_inclusive('\n').collect();
        for odd in 0..lines.len() {
            let mut lines = lines.clone();
            lines[odd] = "something else\n";
            let text = first.clone() + &lines.concat();
            // The last line says where the batch ends, whatever is in front of it.
            let is_ended = odd < lines.len() - 1;
            std::fs::write(&path, format!("{text}torn")).unwrap();
            let (_, before) = Target::open(&path).unwrap();
            assert_eq!(before.torn_bytes, Some(4));
            assert_eq!(before.file.is_some(), is_ended);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        // Without the record that ends the batch, what stands in front of the odd line stays as well.
        std::fs::write(&path, first + "something else\n" + lines[0]).unwrap();
        let (_, before) = Target::open(&path).unwrap();
        assert!(before.torn_bytes.is_none() && before.file.is_none());
    }

    #[test]
    fn a_batch_longer_than_the_first_look_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut chain = Chain::begin(&Clock::system(), &Before::default());
        let first = chain.close().unwrap().text + "\n";
        let long = "x".repeat(1_000);
        for _ in 0..500 {
            chain.add(0, Kind::Call, |line| line.text("outcome", &long));
        }
        let second = chain.close().unwrap().text;
        std::fs::write(&path, format!("{first}{second}")).unwrap();
        let (_, before) = Target::open(&path).unwrap();
        assert_eq!(before.torn_bytes, Some(second.len() as u64));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    }
}

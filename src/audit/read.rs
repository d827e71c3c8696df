//! Lines of a file that may still be written.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// No record is as long; a file without line ends must not fill the memory.
const LINE_MAX: u64 = 16 * 1024 * 1024;

/// How much is read at first to find the last lines.
const WINDOW: u64 = 64 * 1024;

/// The lines of a file from some place on.
pub struct Lines {
    reader: BufReader<File>,
    offset: u64,
}

impl Lines {
    /// Begins `offset` bytes into the file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            reader: BufReader::new(file),
            offset,
        })
    }

    /// The next line without its end; `None` where the file ends, or in a line that is not finished. Asked again, it goes
    /// on where it was.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            self.reader.seek(SeekFrom::Start(self.offset))?;
            return Ok(None);
        }
        self.offset += line.len() as u64 + 1;
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// The bytes behind the last whole line.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn rest(&self) -> io::Result<u64> {
        Ok(self
            .reader
            .get_ref()
            .metadata()?
            .len()
            .saturating_sub(self.offset))
    }

    /// Whether `path` leads to another file by now, or the file was cut.
    ///
    /// # Errors
    /// When there is no file of that name.
    pub fn is_replaced(&self, path: &Path) -> io::Result<bool> {
        let (own, named) = (self.reader.get_ref().metadata()?, std::fs::metadata(path)?);
        Ok((own.dev(), own.ino()) != (named.dev(), named.ino()) || named.len() < self.offset)
    }
}

/// Where the last `count` lines of a file begin.
///
/// # Errors
/// When the file can't be read.
pub fn last_lines(path: &Path, count: usize) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut window = WINDOW;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        (&mut file).take(length - start).read_to_end(&mut end)?;
        // The end of the line before them, which is the one too many.
        let ends = end.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        match ends.map(|(at, _)| at as u64 + 1).nth(count) {
            Some(at) => return Ok(start + at),
            None if start == 0 => return Ok(0),
            None => window = window.saturating_mul(4),
        }
    }
}

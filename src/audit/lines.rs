//! Lines to a stream that others may write to as well: each goes out in one write, and one that only went half is finished
//! before anything else is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Standard output, to which nothing else of this process writes in the middle of a batch.
#[derive(Clone)]
pub(super) struct Stdout(Arc<Mutex<WholeLines<File>>>);

impl Stdout {
    pub(super) fn open() -> io::Result<Self> {
        let own = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(Arc::new(Mutex::new(WholeLines::new(File::from(own))))))
    }

    /// Writes lines; after an error they have to come again, with others behind them or not.
    pub(super) async fn write(&self, lines: &[u8]) -> io::Result<()> {
        let (out, lines) = (Arc::clone(&self.0), lines.to_vec());
        let written = tokio::task::spawn_blocking(move || {
            let _nobody_else = io::stdout().lock();
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write(&lines)
        });
        written.await.map_err(io::Error::other)?
    }
}

/// A writer that remembers how far it got.
struct WholeLines<W> {
    out: W,
    /// Bytes of what is to be written that are out.
    done: usize,
}

impl<W: Write> WholeLines<W> {
    fn new(out: W) -> Self {
        Self { out, done: 0 }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        while let Some(rest) = lines.get(self.done..).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let line = rest.get(..end.map_or(rest.len(), |end| end + 1)).unwrap_or(rest);
            match self.out.write(line) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.done = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at each write, and fails where it takes none.
    #[derive(Default)]
    struct Pipe {
        takes: Vec<usize>,
        writes: Vec<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let takes = if self.takes.is_empty() {
                bytes.len()
            } else {
                self.takes.remove(0)
            };
            if takes == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = &bytes[..takes.min(bytes.len())];
            self.writes.push(taken.to_vec());
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_goes_out_in_one_write() {
        let mut out = WholeLines::new(Pipe::default());
        out.write(b"first\nsecond\n").unwrap();
        out.write(b"third\n").unwrap();
        assert_eq!(out.out.writes, [&b"first\n"[..], b"second\n", b"third\n"]);
    }

    #[test]
    fn what_went_half_is_finished_and_nothing_is_said_twice() {
        let lines = b"first\nsecond\nthird\n";
        for first in 1..8 {
            for second in 0..8 {
                for third in 0..8 {
                    let mut out = WholeLines::new(Pipe {
                        takes: vec![first, second, third],
                        ..Pipe::default()
                    });
                    let mut refused = 0;
                    // Whoever comes again may bring more.
                    let mut all = lines.to_vec();
                    while out.write(&all).is_err() {
                        refused += 1;
                        all.extend_from_slice(b"more\n");
                    }
                    let failing = usize::from(second == 0) + usize::from(third == 0);
                    assert_eq!(refused, failing, "{first} {second} {third}");
                    assert_eq!(out.out.writes.concat(), all, "{first} {second} {third}");
                    assert_eq!(out.done, 0);
                }
            }
        }
    }
}

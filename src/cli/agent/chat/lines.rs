//! Lines of standard input, with a prompt for people and without one for programs.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use tokio::sync::mpsc;

use crate::cli::agent::failure::Failure;

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
const PROMPT: &[u8] = b"> ";

/// Where lines come from.
pub struct Lines {
    receiver: Option<mpsc::Receiver<Result<String, String>>>,
    are_for_people: bool,
}

impl Lines {
    /// Standard input, if it may be waited for: people are asked only where they see what comes of it. `has_texts` says that
    /// there is something to do without it.
    pub fn open(has_texts: bool) -> Result<Self, Failure> {
        let comes_from_people = std::io::stdin().is_terminal();
        let goes_to_people = std::io::stdout().is_terminal();
        if comes_from_people && !goes_to_people {
            return if has_texts {
                Ok(Self {
                    receiver: None,
                    are_for_people: false,
                })
            } else {
                Err(
                    Failure::usage("standard output is no terminal, so nobody at one is waited for").with_hint(
                        "write messages behind `a2ad chat`, or give them as lines: printf 'hello\\n' | a2ad chat",
                    ),
                )
            };
        }
        // Reading can't be broken off, so it has a thread of its own, which ends with the process.
        let (sender, receiver) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("a2ad-lines".to_owned())
            .spawn(move || while sender.blocking_send(read()).is_ok() {})?;
        Ok(Self {
            receiver: Some(receiver),
            are_for_people: comes_from_people,
        })
    }

    /// Whether people write the lines and see what comes of them.
    pub fn are_for_people(&self) -> bool {
        self.are_for_people
    }

    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(None);
        };
        if self.are_for_people {
            let mut err = std::io::stderr().lock();
            err.write_all(PROMPT)?;
            err.flush()?;
        }
        match receiver.recv().await {
            Some(Ok(line)) if line.is_empty() => Ok(None),
            Some(Ok(line)) => Ok(Some(line)),
            Some(Err(why)) => Err(Failure::usage(why)),
            None => Ok(None),
        }
    }
}

/// One line with its end; nothing at the end of the input.
fn read() -> Result<String, String> {
    let mut line = Vec::new();
    let mut input = std::io::stdin().lock().take(LINE_BYTES_MAX + 1);
    input
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("standard input: {error}"))?;
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(format!("a line is longer than {LINE_BYTES_MAX} bytes"));
    }
    String::from_utf8(line).map_err(|_| "a line is not UTF-8".to_owned())
}

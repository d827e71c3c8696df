//! What a command prints: results to standard output in the form that was asked for, everything else to standard error.

use std::io::Write as _;

use a2ad::pb::json;
use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;
use super::page::{Page, one_line};
use super::progress::Progress;
use super::secrets::Secrets;

/// The form of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One field a line
    #[default]
    Text,
    /// The protocol's own JSON: one document, or with --stream one for each event
    Json,
}

/// Where results go.
#[derive(Clone, Debug)]
pub struct Out {
    pub format: Format,
    /// With everything there is to a task, a message and a card.
    pub is_verbose: bool,
    pub progress: Progress,
    /// What stands in nothing but results.
    pub secrets: Secrets,
}

impl Out {
    /// Prints a result: as one line of JSON, or as the page that `describe` makes of it.
    pub fn result<T: Serialize>(
        &self,
        value: &T,
        describe: impl FnOnce(&mut Page, &T),
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                let mut line = json::to_vec(value)?;
                line.push(b'\n');
                self.write(&line)
            }
            Format::Text => {
                let mut page = Page::new();
                describe(&mut page, value);
                self.page(page)
            }
        }
    }

    /// Prints text, if text was asked for.
    pub fn page(&self, page: Page) -> Result<(), Failure> {
        match self.format {
            Format::Json => Ok(()),
            Format::Text => self.write(page.into_text().as_bytes()),
        }
    }

    /// Tells what should not be overlooked.
    pub fn warning(&self, text: &str) {
        self.progress.beside(|| tell!("warning: {}", self.line(text)));
    }

    /// Tells what goes on.
    pub fn note(&self, text: &str) {
        self.progress.beside(|| tell!("{}", self.line(text)));
    }

    /// Prints why there is no result: as an envelope in the place of the result, or in words to standard error.
    pub fn failure(&self, failure: &Failure) {
        self.progress.end();
        let failure = &failure.without(&self.secrets);
        if self.format == Format::Json {
            let written = json::to_vec(&failure.envelope()).map_err(Failure::from);
            // Standard output that is gone can't be told of anything.
            let _ = written.and_then(|mut line| {
                line.push(b'\n');
                self.write(&line)
            });
            return;
        }
        tell!("error: {}", one_line(&failure.message));
        tell!("code: {}", failure.code.name());
        if let Some(code) = &failure.a2a_code {
            tell!("a2a code: {}", one_line(code));
        }
        if let Some(hint) = &failure.hint {
            tell!("hint: {}", one_line(hint));
        }
    }

    /// Text of others on one line, without secrets.
    fn line(&self, text: &str) -> String {
        one_line(&self.secrets.hidden(text))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.progress.beside(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes)?;
            Ok(out.flush()?)
        })
    }
}

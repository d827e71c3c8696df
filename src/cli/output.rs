//! How results look on a terminal and in a script.

use std::fmt;
use std::io::Write;

use a2ad::pb::json;
use clap::ValueEnum;
use serde::Serialize;

use super::Outcome;

/// The form of results.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// Lines for people
    #[default]
    Text,
    /// One JSON value per line, as the protocol writes it
    Json,
}

/// Writes a line to standard error. Standard error that is closed can't be told of anything.
pub fn tell(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints `value` as JSON, or what `text` says about it.
pub fn print<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> Outcome {
    let mut line = match format {
        Format::Json => json::to_vec(value)?,
        Format::Text => text(value).into_bytes(),
    };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}

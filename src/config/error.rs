//! Why a configuration was refused: every problem at once, each with its key, where it was set, and what to write.

use std::fmt;
use std::path::PathBuf;

use super::loader::Source;

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key: `server.listen`.
    pub key: String,
    /// What is wrong with it and what would be right. It never shows the value of a secret.
    pub message: String,
    /// Where it was set; `None` when it wasn't, or when the configuration was made in code.
    pub source: Option<Source>,
}

impl Problem {
    /// A problem of a key whose origin is not known here.
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            source: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(out, "`{}` in {source}: {}", self.key, self.message),
            None => write!(out, "`{}`: {}", self.key, self.message),
        }
    }
}

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("the configuration file {} can't be read: {cause}; check the path and its permissions", path.display())]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is not TOML. The line itself is not shown: it may hold a secret.
    #[error("{} is not valid TOML, line {line}: {message}", path.display())]
    Syntax {
        /// The file that was read.
        path: PathBuf,
        /// The line on which reading stopped, from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// Keys or values are wrong: all that were found.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl Error {
    /// The single problems; empty when the file couldn't be read at all.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Read { .. } | Self::Syntax { .. } => &[],
        }
    }
}

fn list(problems: &[Problem]) -> String {
    match problems {
        [one] => format!("the configuration has a problem: {one}"),
        many => {
            let lines: Vec<String> = many.iter().map(|problem| format!("\n  - {problem}")).collect();
            format!("the configuration has {} problems:{}", many.len(), lines.concat())
        }
    }
}

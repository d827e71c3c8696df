//! Programs that stand in for ours: one that does as ours does, and those that get one thing wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::binary::PROGRAM;

/// A program that does what `script` says; `$A2AD` is ours.
pub fn stand_in(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("a2ad");
    std::fs::write(&path, format!("#!/bin/sh\nA2AD='{PROGRAM}'\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What a program gets wrong.
pub enum Wrong {
    /// Shell commands before ours is run with what arguments they leave.
    Before(&'static str),
    /// It knows nothing of these options.
    Without(&'static [&'static str]),
    /// Nor of these, which have values.
    WithoutValues(&'static [&'static str]),
    /// One word of the command line is taken for another.
    Takes(&'static str, &'static str),
    /// This is made of standard output, by sed.
    Prints(&'static str),
    /// Shell commands behind ours: `$out` and `$err` are files with what was printed, `$code` is how it ended.
    Behind(&'static str),
}

impl Wrong {
    /// The script of the program.
    pub fn script(&self) -> String {
        match self {
            Self::Before(commands) => format!("{commands}\nexec \"$A2AD\" \"$@\""),
            Self::Without(options) => words(&format!("{}) continue;;", options.join("|"))),
            Self::WithoutValues(options) => words(&format!("{}) skip=1; continue;;", options.join("|"))),
            Self::Takes(one, other) => words(&format!("'{one}') word='{other}';;")),
            Self::Prints(how) => behind(&format!("sed '{how}' \"$out\"; cat \"$err\" >&2")),
            Self::Behind(commands) => behind(commands),
        }
    }
}

/// Runs ours with each word of the command line as it comes out of this case.
fn words(case: &str) -> String {
    format!(
        "left=$#; skip=\nwhile [ $left -gt 0 ]; do\n  word=$1; shift; left=$((left - 1))\n  \
         if [ -n \"$skip\" ]; then skip=; continue; fi\n  case \"$word\" in {case} esac\n  \
         set -- \"$@\" \"$word\"\ndone\nexec \"$A2AD\" \"$@\""
    )
}

fn behind(commands: &str) -> String {
    format!(
        "out=$(mktemp); err=$(mktemp)\n\"$A2AD\" \"$@\" > \"$out\" 2> \"$err\"; code=$?\n{commands}\n\
         rm \"$out\" \"$err\"; exit $code"
    )
}

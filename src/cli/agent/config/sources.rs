//! Where settings come from: the environment, a local file, a global file (a2a-cli specification 8.3).

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::dotenv;
use super::settings::{PREFIX, Setting};
use crate::cli::agent::failure::Failure;

/// The largest file of settings, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An option on the command line.
    Flag,
    /// This variable of the environment.
    Environment(String),
    /// This file.
    File(PathBuf),
    /// The program itself.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("flag"),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Default => out.write_str("default"),
        }
    }
}

/// A file of settings.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    values: Vec<dotenv::Entry>,
}

/// All sources below the command line.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    environment: Vec<(String, String)>,
    local: Option<File>,
    /// Whether the local file was found by walking up, and not named.
    is_local_found: bool,
    global: Option<File>,
    warnings: Vec<String>,
}

impl Sources {
    /// Reads the environment, and the files: `--config` of these arguments, or else the nearest `.env` upwards of the working
    /// directory, and the one of the user.
    pub fn read(arguments: &[OsString]) -> Result<Self, Failure> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .collect();
        let mut sources = Self {
            environment,
            ..Self::default()
        };
        sources.local = match option(arguments, "--config") {
            Some(path) => Some(sources.named(Path::new(&path))?),
            None => sources.found()?,
        };
        let global = std::env::var_os("HOME").map(|home| Path::new(&home).join(".config/a2a-cli/.env"));
        sources.global = match global.filter(|path| path.is_file()) {
            Some(path) => Some(sources.file(&path)?),
            None => None,
        };
        Ok(sources)
    }

    /// The highest source that says something about a setting, and what it says.
    pub fn look_up(&self, setting: &Setting) -> Option<(String, Source)> {
        let variable = setting.variable();
        let by_name = |(name, _): &&(String, String)| *name == variable;
        if let Some((name, value)) = self.environment.iter().find(by_name) {
            return Some((value.clone(), Source::Environment(name.clone())));
        }
        let files = self.local.iter().chain(&self.global);
        files.into_iter().find_map(|file| {
            // As in a shell, the last line wins.
            let entries = file.values.iter().rev();
            let mut set = entries.filter(|entry| entry.name == variable && !entry.value.is_empty());
            set.next()
                .map(|entry| (entry.value.clone(), Source::File(file.path.clone())))
        })
    }

    /// How high a source stands; the higher one wins.
    pub fn height(&self, source: &Source) -> u8 {
        match source {
            Source::Flag => 4,
            Source::Environment(_) => 3,
            Source::File(path) if self.local.as_ref().is_some_and(|local| local.path == *path) => 2,
            Source::File(_) => 1,
            Source::Default => 0,
        }
    }

    /// Whether a value comes from a file that nobody named: one that just lay in a folder.
    pub fn is_found(&self, source: &Source) -> bool {
        self.is_local_found
            && matches!((source, &self.local), (Source::File(path), Some(local)) if *path == local.path)
    }

    /// What is doubtful about the sources.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn named(&mut self, path: &Path) -> Result<File, Failure> {
        if !path.is_file() {
            let message = format!("--config {}: there is no such file", path.display());
            return Err(Failure::usage(message));
        }
        self.file(path)
    }

    /// The nearest `.env`. One of somebody else is passed over: who can write into a folder above could otherwise say where
    /// credentials go.
    fn found(&mut self) -> Result<Option<File>, Failure> {
        let Ok(folder) = std::env::current_dir() else {
            return Ok(None);
        };
        let mut candidates = folder.ancestors().map(|folder| folder.join(".env"));
        let Some(path) = candidates.find(|path| path.is_file()) else {
            return Ok(None);
        };
        let owner = std::fs::metadata(&path).map(|about| about.uid()).ok();
        let user = rustix::process::geteuid().as_raw();
        if !owner.is_some_and(|owner| owner == user || owner == 0) {
            self.warnings.push(format!(
                "{} is not read: it belongs to another user; name it with --config if you trust it",
                path.display()
            ));
            return Ok(None);
        }
        self.is_local_found = true;
        self.file(&path).map(Some)
    }

    fn file(&mut self, path: &Path) -> Result<File, Failure> {
        let failed = |error: &dyn fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
        let about = std::fs::metadata(path).map_err(|error| failed(&error))?;
        if about.len() > FILE_BYTES_MAX {
            return Err(failed(&format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let values = dotenv::entries(&text, PREFIX).map_err(|line| {
            failed(&format!(
                "line {line} is not NAME=value, or its quotes are not closed"
            ))
        })?;
        let mut holds_secret = false;
        for entry in &values {
            let option = entry.name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
            match Setting::of(&option) {
                Some(setting) => holds_secret |= setting.is_secret,
                None => self.warnings.push(format!(
                    "{} line {}: {} is no setting; `a2ad config show` lists them",
                    path.display(),
                    entry.line,
                    entry.name
                )),
            }
        }
        if holds_secret && about.mode() & 0o077 != 0 {
            let shown = path.display();
            self.warnings.push(format!(
                "{shown} holds a secret and others can read it; run `chmod 600 {shown}`"
            ));
        }
        Ok(File {
            path: path.to_owned(),
            values,
        })
    }
}

/// The value of an option before the command line is understood: other sources decide how it is.
pub fn option(arguments: &[OsString], name: &str) -> Option<OsString> {
    let mut found = None;
    let mut rest = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        if argument == name {
            found = rest.next().cloned();
        } else if let Some(value) = argument
            .to_str()
            .and_then(|text| text.strip_prefix(name)?.strip_prefix('='))
        {
            found = Some(value.into());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_before_the_others_are_understood() {
        for (line, expected) in [
            ("send --config a hi", Some("a")),
            ("send --config=b hi", Some("b")),
            ("send --config a --config=b", Some("b")),
            ("send -- --config a", None),
            ("send --configuration a", None),
            ("send --config", None),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(
                option(&arguments, "--config"),
                expected.map(OsString::from),
                "{line}"
            );
        }
    }
}

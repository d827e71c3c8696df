//! Reads all sources, in order, into one checked configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;
use super::environment::{is_ours, nest, path_of, value_of};
use super::error::{Error, Problem};
use super::layers::Layers;

/// Where a value came from. What came from nowhere is a compiled default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Variable(name) => out.write_str(name),
            Self::Flag => out.write_str("a flag"),
        }
    }
}

/// A checked configuration, and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// The source of every key that is not a default, by its dotted path.
    pub sources: BTreeMap<String, Source>,
}

enum FlagValue {
    Value(Value),
    Text(String),
}

/// Gathers sources; later ones win: defaults, file, variables, flags, whatever the order of the calls.
///
/// ```
/// use a2ad::config::Loader;
///
/// let variables = [("A2AD__LIMITS__PARTS_MAX".to_owned(), "8".to_owned())];
/// let loaded = Loader::new().env(variables).set("server.listen", "127.0.0.1:0").load()?;
/// assert_eq!(loaded.config.limits.parts_max, 8);
/// assert_eq!(loaded.config.server.listen.port(), 0);
/// # Ok::<(), a2ad::config::Error>(())
/// ```
#[derive(Default)]
pub struct Loader {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
    flags: Vec<(String, FlagValue)>,
}

impl Loader {
    /// A loader that knows the compiled defaults only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this TOML file, which has to exist.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.file = Some(path.as_ref().to_path_buf());
        self
    }

    /// Takes the variables that begin with `A2AD__` and leaves the others alone.
    #[must_use]
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables
            .extend(variables.into_iter().filter(|(name, _)| is_ours(name)));
        self
    }

    /// Takes the variables of this process; bytes that are not UTF-8 become U+FFFD, where `std::env::vars` panics.
    #[must_use]
    pub fn process_env(self) -> Self {
        let variables = std::env::vars_os();
        self.env(variables.map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        }))
    }

    /// Sets one key, named by its dotted path, above everything else.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.flags.push((key.into(), FlagValue::Value(value.into())));
        self
    }

    /// Like [`Loader::set`] for a `--set key=text` flag: the text is read the way a variable's is.
    #[must_use]
    pub fn set_text(mut self, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.flags.push((key.into(), FlagValue::Text(text.into())));
        self
    }

    /// Reads and checks everything; an error lists all that is wrong, not the first thing only.
    pub fn load(self) -> Result<Loaded, Error> {
        let mut layers = Layers::default();
        if let Some(path) = self.file {
            let table = read_file(&path)?;
            layers.add(Some(&Source::File(path)), table);
        }
        for (name, text) in self.variables {
            let path = path_of(&name, &layers.tree);
            let value = value_of(&path, &text);
            layers.add(Some(&Source::Variable(name)), nest(&path, value));
        }
        for (key, value) in self.flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let value = match value {
                FlagValue::Value(value) => value,
                FlagValue::Text(text) => value_of(&path, &text),
            };
            layers.add(Some(&Source::Flag), nest(&path, value));
        }
        finish(layers)
    }
}

fn read_file(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Read {
        path: path.to_path_buf(),
        cause,
    })?;
    toml::from_str(&text).map_err(|error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::Syntax {
            path: path.to_path_buf(),
            line,
            message: error.message().to_owned(),
        }
    })
}

fn finish(layers: Layers) -> Result<Loaded, Error> {
    let Layers {
        tree,
        sources,
        mut problems,
    } = layers;
    let config: Config = match tree.try_into() {
        Ok(config) => config,
        Err(error) => {
            // The schema let through what the types refuse: the parser's words are all there is to say.
            problems.push(Problem::new("configuration", error.message()));
            return Err(Error::Invalid(problems));
        }
    };
    for mut problem in config.problems() {
        problem.source = sources.get(&problem.key).cloned();
        problems.push(problem);
    }
    if problems.is_empty() {
        Ok(Loaded { config, sources })
    } else {
        Err(Error::Invalid(problems))
    }
}

//! Flags that are configuration keys.

use std::path::PathBuf;

use a2ad::config::{Error, Loaded, Loader};
use clap::Args;

/// Where the configuration comes from, for every command that needs it.
#[derive(Args)]
pub struct Settings {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any configuration key, for example --set limits.parts_max=64
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

impl Settings {
    /// Defaults, below the file, below the environment, below `--set`.
    pub fn loader(&self) -> Loader {
        let mut loader = Loader::new();
        if let Some(file) = &self.config {
            loader = loader.file(file);
        }
        loader = loader.process_env();
        for (key, value) in &self.set {
            loader = loader.set_text(key, value);
        }
        loader
    }

    /// The configuration.
    pub fn load(&self) -> Result<Loaded, Error> {
        self.loader().load()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

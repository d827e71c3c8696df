//! `a2ad config`.

use clap::Subcommand;

use super::Outcome;
use super::settings::Settings;

#[derive(Subcommand)]
pub enum Config {
    /// Check the configuration and print what is in effect, with secrets masked
    Check(Settings),
    /// Print every key with its default and its meaning
    Reference,
}

impl Config {
    pub fn run(self) -> Outcome {
        match self {
            Self::Check(settings) => print!("{}", settings.load()?.to_toml_annotated()),
            Self::Reference => print!("{}", a2ad::config::reference()),
        }
        Ok(())
    }
}

//! `a2ad config`.

use clap::Subcommand;

use super::Outcome;
use super::agent::config::Show;
use super::settings::Settings;

#[derive(Subcommand)]
pub enum Config {
    #[command(flatten)]
    Server(Server),
    /// Show the settings of the commands that talk to agents, and where each comes from
    Show(Box<Show>),
}

/// The configuration of a server.
#[derive(Subcommand)]
pub enum Server {
    /// Check the configuration and print what is in effect, with secrets masked
    Check(Settings),
    /// Print every key with its default and its meaning
    Reference,
}

impl Server {
    pub fn run(self) -> Outcome {
        match self {
            Self::Check(settings) => print!("{}", settings.load()?.to_toml_annotated()),
            Self::Reference => print!("{}", a2ad::config::reference()),
        }
        Ok(())
    }
}

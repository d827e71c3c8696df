//! `a2ad card`.

use clap::Subcommand;

use super::failure::Failure;
use super::options::Options;
use super::render;
use super::session::Session;

#[derive(Subcommand)]
pub enum Card {
    /// Fetch a card and show it
    Get {
        #[command(flatten)]
        options: Box<Options>,
    },
}

impl Card {
    pub fn options(&self) -> &Options {
        match self {
            Self::Get { options } => options,
        }
    }

    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let is_verbose = session.out.is_verbose;
        session
            .out
            .result(&*agent.card, |page, card| render::card(page, card, is_verbose))
    }
}

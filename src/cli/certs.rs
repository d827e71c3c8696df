//! `a2ad certs`.

use std::path::PathBuf;

use a2ad::tls::dev::{DevOptions, write_dev_certificates};
use clap::Subcommand;

use super::Outcome;

#[derive(Subcommand)]
pub enum Certs {
    /// Make a development CA with a server and a client certificate
    Dev {
        /// The folder to write to; it is made if it does not exist
        dir: PathBuf,
        /// Overwrite what is there
        #[arg(long)]
        force: bool,
    },
}

impl Certs {
    pub fn run(self) -> Outcome {
        let Self::Dev { dir, force } = self;
        write_dev_certificates(
            &dir,
            DevOptions {
                force,
                ..DevOptions::default()
            },
        )?;
        println!("{}", dir.display());
        tell!("wrote ca.pem, server.pem, server.key, client.pem and client.key; for development only");
        Ok(())
    }
}

//! `a2ad completion`.

use std::io::Write as _;

use clap::Args;
use clap_complete::{Shell, generate};

use super::Outcome;

/// Print a script that completes commands and options in a shell
#[derive(Args)]
pub struct Completion {
    /// The shell; for bash, for example: source <(a2ad completion bash)
    shell: Shell,
}

impl Completion {
    pub fn run(self, mut command: clap::Command) -> Outcome {
        let mut script = Vec::new();
        generate(self.shell, &mut command, "a2ad", &mut script);
        Ok(std::io::stdout().write_all(&script)?)
    }
}

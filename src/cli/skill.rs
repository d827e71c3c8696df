//! `a2ad skill`: the one Agent Skill of this program, for coding agents (a2a-cli specification 14).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Outcome;

/// The files of the skill, by their places in its folder.
const FILES: [(&str, &str); 2] = [
    ("SKILL.md", include_str!("../../deploy/skill/a2ad/SKILL.md")),
    (
        "references/examples.md",
        include_str!("../../deploy/skill/a2ad/references/examples.md"),
    ),
];

/// Where agents of all kinds look for skills, in a project.
const FOLDER: &str = ".agents/skills/a2ad";

/// Print the skill that tells coding agents how to use this program, or install it
#[derive(Args)]
pub struct Skill {
    /// Write the skill to a folder instead, over an earlier version of it
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = FOLDER)]
    install: Option<PathBuf>,
}

impl Skill {
    pub fn run(self) -> Outcome {
        let mut out = std::io::stdout().lock();
        match self.install {
            Some(folder) => {
                install(&folder)?;
                writeln!(out, "Skill: {}", folder.display())?;
            }
            None => out.write_all(FILES[0].1.as_bytes())?,
        }
        Ok(out.flush()?)
    }
}

fn install(folder: &Path) -> Result<(), String> {
    for (name, text) in FILES {
        let path = folder.join(name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, text).map_err(failed)?;
    }
    Ok(())
}

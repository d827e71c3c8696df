//! The durability harness with its sizes as flags; `tests/README.md` tells what it does.
//!
//! ```text
//! cargo run --example durability -- kill --cycles 500
//! cargo run --example durability -- power --cuts 1000
//! ```
//!
//! It builds the server first, because a server of the release profile has no fault points.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use harness::process::Program;
use harness::random::Random;
use harness::{kills, power};

#[path = "../../tests/durability/mod.rs"]
mod harness;

/// Kills the server, or its power, as often as you like, and tells what was lost.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    work: Work,
    /// The server; without it, the one of the development profile, built now if it is not up to date.
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
    /// Repeats a run, as far as timing lets it.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Clients that work at the same time, a third on each binding.
    #[arg(long, global = true, default_value_t = 9)]
    clients: u32,
}

#[derive(Subcommand)]
enum Work {
    /// kill -9 at random moments and at fault points.
    Kill {
        #[arg(long, default_value_t = 100)]
        cycles: u64,
    },
    /// Power cuts on SQLite, from the trace of a run.
    Power {
        #[arg(long, default_value_t = 200)]
        cuts: usize,
        /// Answers of the traced run.
        #[arg(long, default_value_t = 400)]
        answers: u64,
        /// SQLite's `synchronous`; less than FULL has to be caught.
        #[arg(long)]
        synchronous: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let binary = flags.binary.clone().unwrap_or_else(built);
    let mut random = match flags.seed {
        Some(seed) => Random::new(seed),
        None => Random::from_environment(),
    };
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let problems = match flags.work {
        Work::Kill { cycles } => kill(&binary, scratch.path(), cycles, flags.clients, &mut random).await,
        Work::Power {
            cuts,
            answers,
            synchronous,
        } => {
            let sizes = power::Sizes {
                answers,
                clients: flags.clients,
                cuts,
                program_every: 50,
            };
            cut(&binary, scratch.path(), sizes, synchronous.as_deref(), &mut random).await
        }
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("what was recorded stays in {}", scratch.keep().display());
    ExitCode::FAILURE
}

async fn kill(
    binary: &Path,
    scratch: &Path,
    cycles: u64,
    clients: u32,
    random: &mut Random,
) -> Vec<String> {
    let program = Program {
        binary: binary.to_owned(),
        dir: scratch.to_owned(),
        database_url: format!("sqlite://{}", scratch.join("a2ad.db").display()),
    };
    let sizes = kills::Sizes { cycles, clients };
    let outcome = kills::run(&program, scratch, sizes, random).await;
    println!("{outcome}");
    let problems = outcome.report.problems.iter();
    problems
        .map(|problem| format!("{:?}: {}", problem.rule, problem.text))
        .collect()
}

async fn cut(
    binary: &Path,
    scratch: &Path,
    sizes: power::Sizes,
    synchronous: Option<&str>,
    random: &mut Random,
) -> Vec<String> {
    let run = power::record(binary, scratch, sizes, synchronous, random).await;
    let outcome = power::cut(&run, binary, scratch, sizes, random).await;
    println!("{outcome}");
    outcome.problems
}

/// Builds the server with fault points; where it is.
fn built() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--bin", "a2ad"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the server does not build");
    // target/PROFILE/examples/durability, whatever the profile of the harness is.
    let own = std::env::current_exe().expect("a program knows where it is");
    let target = own.ancestors().nth(3).expect("examples lie in the target folder");
    target.join("debug/a2ad")
}

//! The durability harness with its sizes as flags; `tests/README.md` tells what it does.
//!
//! ```text
//! cargo run --example durability -- kill --cycles 500 --database sqlite
//! cargo run --example durability -- kill --cycles 500 --database postgres
//! cargo run --example durability -- outage --cycles 100
//! cargo run --example durability -- power --cuts 1000
//! ```
//!
//! `A2AD_TEST_SEED` repeats a run, as far as timing lets it. The server is built first, because a server of the release profile has no fault points.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use harness::process::Program;
use harness::random::Random;
use harness::{kills, outage, power};
use postgres::Postgres;

#[path = "../../tests/durability/mod.rs"]
mod harness;
#[path = "../../tests/it/support/postgres/mod.rs"]
#[allow(dead_code, reason = "the tests do more with their servers")]
mod postgres;

/// Kills the server, or its power, as often as you like, and tells what was lost.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    work: Work,
    /// The server; without it, the one of the development profile, built now if it is not up to date.
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
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
        /// A file, or a PostgreSQL server of the harness's own.
        #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
        database: Backend,
    },
    /// kill -9 for PostgreSQL, under a server that stays.
    Outage {
        #[arg(long, default_value_t = 20)]
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

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let binary = flags.binary.clone().unwrap_or_else(built);
    let mut random = Random::from_environment();
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let run = Run {
        binary: &binary,
        scratch: scratch.path(),
        clients: flags.clients,
    };
    let problems = match flags.work {
        Work::Kill { cycles, database } => run.kill(cycles, database, &mut random).await,
        Work::Outage { cycles } => run.outage(cycles, &mut random).await,
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
            run.cut(sizes, synchronous.as_deref(), &mut random).await
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

/// What all kinds of runs share.
struct Run<'a> {
    binary: &'a Path,
    scratch: &'a Path,
    clients: u32,
}

impl Run<'_> {
    async fn kill(&self, cycles: u64, database: Backend, random: &mut Random) -> Vec<String> {
        let server = match database {
            Backend::Sqlite => None,
            Backend::Postgres => Some(Postgres::start()),
        };
        let url = match &server {
            None => format!("sqlite://{}", self.scratch.join("a2ad.db").display()),
            Some(server) => server.url(),
        };
        let outcome = kills::run(&self.program(url), self.scratch, self.sizes(cycles), random).await;
        told(&outcome)
    }

    async fn outage(&self, cycles: u64, random: &mut Random) -> Vec<String> {
        let server = Postgres::start();
        let program = self.program(server.url());
        let (data, resume) = (server.data(), || server.try_resume());
        let sizes = self.sizes(cycles);
        told(&outage::run(&program, self.scratch, sizes, (&data, resume), random).await)
    }

    async fn cut(&self, sizes: power::Sizes, synchronous: Option<&str>, random: &mut Random) -> Vec<String> {
        let run = power::record(self.binary, self.scratch, sizes, synchronous, random).await;
        let outcome = power::cut(&run, self.binary, self.scratch, sizes, random).await;
        println!("{outcome}");
        outcome.problems
    }

    fn program(&self, database_url: String) -> Program {
        Program {
            binary: self.binary.to_owned(),
            dir: self.scratch.to_owned(),
            database_url,
        }
    }

    fn sizes(&self, cycles: u64) -> kills::Sizes {
        kills::Sizes {
            cycles,
            clients: self.clients,
        }
    }
}

/// Prints the figures; the problems.
fn told(outcome: &kills::Outcome) -> Vec<String> {
    println!("{outcome}");
    let problems = outcome.report.problems.iter();
    problems
        .map(|problem| format!("{:?}: {}", problem.rule, problem.text))
        .collect()
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

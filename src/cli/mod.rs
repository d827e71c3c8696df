//! The commands. Data goes to standard output, everything else to standard error; 0 is success, 1 a failure, 2 wrong
//! usage. Those that talk to agents, in [`agent`], have more to say about failures.

/// A line on standard error, as `eprintln!` writes it; nobody who reads it is no failure.
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::cli::output::tell(format_args!($($text)*))
    };
}

mod agent;
mod audit;
mod certs;
mod check;
mod completion;
mod connect;
mod db;
mod demo;
mod demo_server;
mod health;
mod keys;
mod migrate;
mod output;
mod push;
mod serve;
mod settings;
mod skill;
mod watchdog;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

/// A gRPC-first runtime for A2A agents.
#[derive(Parser)]
#[command(
    name = "a2ad",
    version,
    about,
    max_term_width = 100,
    disable_version_flag = true
)]
struct Cli {
    /// Print the version
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Server(Server),
    /// Look at configurations
    #[command(subcommand)]
    Config(check::Config),
    #[command(flatten)]
    Agent(agent::Command),
    /// Print a script that completes commands and options in a shell
    Completion(completion::Completion),
}

/// The commands about servers of ours.
#[derive(Subcommand)]
enum Server {
    /// Serve agents by gRPC, JSON-RPC and HTTP+JSON on one port
    Serve(serve::Serve),
    /// Run agents on this machine to try the commands on; nothing is kept
    DemoServer(demo_server::DemoServer),
    /// Apply missing database migrations and exit
    Migrate(migrate::Migrate),
    /// Look after the database: count, prune, copy, verify
    #[command(subcommand)]
    Db(db::Db),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look after push notifications that wait or could not be sent
    #[command(subcommand)]
    Push(Box<push::Push>),
    /// Check and print the records of what was done
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make certificates
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Print or install the skill that tells coding agents how to use this program
    Skill(skill::Skill),
    /// Exit with 0 if a server answers
    Healthcheck(health::Healthcheck),
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (cli, sources): (Cli, _) = match agent::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error),
    };
    let status = runtime.block_on(async {
        match cli.command {
            Command::Agent(command) => agent::run(command, sources).await,
            Command::Config(check::Config::Show(command)) => agent::show(*command, sources),
            Command::Config(check::Config::Server(command)) => status(command.run()),
            Command::Server(command) => status(command.run().await),
            Command::Completion(command) => status(command.run(Cli::command())),
        }
    });
    // Whatever counts has been waited for. What agents still hold is theirs, and could hold the process for ever.
    runtime.shutdown_background();
    status
}

impl Server {
    async fn run(self) -> Outcome {
        match self {
            Self::Serve(command) => command.run().await,
            Self::DemoServer(command) => command.run().await,
            Self::Migrate(command) => command.run().await,
            Self::Db(command) => command.run().await,
            Self::Keys(command) => command.run().await,
            Self::Push(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Certs(command) => command.run(),
            Self::Skill(command) => command.run(),
            Self::Healthcheck(command) => command.run().await,
        }
    }
}

/// What a command ends with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn status(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&*error),
    }
}

fn failure(error: &dyn std::error::Error) -> ExitCode {
    tell!("error: {error}");
    ExitCode::FAILURE
}

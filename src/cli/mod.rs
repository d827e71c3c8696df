//! The commands. Data goes to standard output, everything else to standard error; 0 is success, 1 a failure, 2 wrong
//! usage.

mod audit;
mod certs;
mod check;
mod connect;
mod db;
mod demo;
mod health;
mod keys;
mod migrate;
mod output;
mod push;
mod remote;
mod serve;
mod settings;
mod watchdog;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A gRPC-first runtime for A2A agents.
#[derive(Parser)]
#[command(name = "a2ad", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve agents by gRPC, JSON-RPC and HTTP+JSON on one port
    Serve(serve::Serve),
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
    Push(push::Push),
    /// Check and print the records of what was done
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Check the configuration and print what is in effect
    #[command(subcommand)]
    Config(check::Config),
    /// Make certificates
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Exit with 0 if a server answers
    Healthcheck(health::Healthcheck),
    /// Show an agent's card
    Card(remote::Card),
    /// Send a message to an agent
    Send(remote::Send),
    /// Look at tasks and change them
    #[command(subcommand)]
    Task(remote::Task),
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
            Command::Db(command) => command.run().await,
            Command::Keys(command) => command.run().await,
            Command::Push(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Config(command) => command.run(),
            Command::Certs(command) => command.run(),
            Command::Healthcheck(command) => command.run().await,
            Command::Card(command) => command.run().await,
            Command::Send(command) => command.run().await,
            Command::Task(command) => command.run().await,
        }
    });
    // Whatever counts has been waited for. What agents still hold is theirs, and could hold the process for ever.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&*error),
    }
}

/// What a command ends with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn failure(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

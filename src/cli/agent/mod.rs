//! The commands that talk to agents, by the a2a-cli specification 0.2: whatever agent, whatever binding.
//!
//! A command line goes through [`parse`]: [`config`] puts the environment and files below it, and what is wrong with it is a
//! [`Failure`](failure::Failure) like any other. [`run`] gives the command a [`Session`] and a limit of time. Results go to
//! standard output through [`out`], as the protocol's JSON or as fields and blocks of a [`page`]; everything else goes to
//! standard error. A failure is an envelope in the place of the result where JSON was asked for. Nothing is remembered from
//! one run to the next.

pub mod config;

mod auth;
mod bench;
mod cache;
mod card;
mod chat;
mod conformance;
mod connect;
mod failure;
mod follow;
mod options;
mod out;
mod page;
mod parts;
mod progress;
mod render;
mod secrets;
mod send;
mod session;
mod task;
mod told;
mod upload;
mod usage;
mod value;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Subcommand};

use self::config::Sources;
use self::failure::Failure;
use self::options::Options;
use self::session::Session;

#[derive(Subcommand)]
pub enum Command {
    /// Look at an agent's card
    #[command(subcommand)]
    Card(card::Card),
    /// Send a message to an agent
    Send(Box<send::Send>),
    /// Talk with an agent, line by line
    Chat(Box<chat::Chat>),
    /// Check how well an agent keeps to the protocol
    Conformance(Box<conformance::Conformance>),
    /// Measure how fast an agent is; everything is sent for real
    Bench(Box<bench::Bench>),
    /// Sign in to agents whose tokens come from an authorization server
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Look at tasks and change them
    #[command(subcommand)]
    Task(task::Task),
}

impl Command {
    fn options(&self) -> &Options {
        match self {
            Self::Card(command) => command.options(),
            Self::Send(command) => &command.options,
            Self::Chat(command) => &command.options,
            Self::Conformance(command) => &command.options,
            Self::Bench(command) => &command.options,
            Self::Auth(command) => command.options(),
            Self::Task(command) => command.options(),
        }
    }

    /// Whether `--timeout` is the limit of the whole command; others have one for each thing that they do.
    fn is_limited(&self) -> bool {
        match self {
            Self::Chat(_) | Self::Bench(_) => false,
            Self::Task(command) => !command.is_endless(),
            _ => true,
        }
    }

    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Card(command) => command.run(session).await,
            Self::Send(command) => command.run(session).await,
            Self::Chat(command) => command.run(session).await,
            Self::Conformance(command) => command.run(session).await,
            Self::Bench(command) => command.run(session).await,
            Self::Auth(command) => command.run(session).await,
            Self::Task(command) => command.run(session).await,
        }
    }
}

/// The command line `T` of these arguments, and the sources below it. What is wrong with it, and help, is printed; the status
/// to end with then.
pub fn parse<T: CommandFactory + FromArgMatches>(arguments: &[OsString]) -> Result<(T, Sources), ExitCode> {
    if !is_for_agents(arguments) {
        let parsed = T::command().try_get_matches_from(arguments);
        return match parsed.and_then(|matches| T::from_arg_matches(&matches)) {
            Ok(parsed) => Ok((parsed, Sources::default())),
            // Whoever asked for JSON gets it, whatever he misspelt.
            Err(error)
                if error.kind() == ErrorKind::InvalidSubcommand
                    || (!usage::is_question(&error) && usage::asks_json(arguments)) =>
            {
                Err(refuse(&usage::failure(&error, None), arguments, None))
            }
            Err(error) => error.exit(),
        };
    }
    let sources = Sources::read(arguments).map_err(|failure| refuse(&failure, arguments, None))?;
    let command = config::with_defaults(T::command(), &sources);
    let parsed = command.try_get_matches_from(arguments);
    match parsed.and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(parsed) => Ok((parsed, sources)),
        Err(error) if usage::is_question(&error) => error.exit(),
        Err(error) => Err(refuse(
            &usage::failure(&error, Some(&sources)),
            arguments,
            Some(&sources),
        )),
    }
}

fn refuse(failure: &Failure, arguments: &[OsString], sources: Option<&Sources>) -> ExitCode {
    usage::out(arguments, sources).failure(failure);
    ExitCode::from(failure.code.exit())
}

/// Whether a command line, good or not, is one of these commands, or asks about them.
fn is_for_agents(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    let words = match words.as_slice() {
        ["help", rest @ ..] => rest,
        words => words,
    };
    match words {
        ["config", "show", ..] | ["completion", ..] => true,
        [first, ..] => {
            let commands = Command::augment_subcommands(clap::Command::new("a2ad"));
            commands
                .get_subcommands()
                .any(|command| command.get_name() == *first)
        }
        [] => false,
    }
}

/// Runs a command to its end, or to that of its time.
pub async fn run(command: Command, sources: Sources) -> ExitCode {
    let session = begin(command.options().clone(), sources);
    if !command.is_limited() {
        let result = command.run(&session).await;
        return end(&session, result);
    }
    let limit = session.options.times.timeout;
    let result = session.pace.within(limit, command.run(&session)).await;
    end(&session, result.unwrap_or_else(|| Err(session.timeout(limit))))
}

/// Runs `config show`.
pub fn show(command: config::Show, sources: Sources) -> ExitCode {
    let session = begin(command.options.clone(), sources);
    let result = command.run(&session);
    end(&session, result)
}

fn begin(options: Options, sources: Sources) -> Session {
    let session = Session::new(options, sources);
    for warning in session.sources.warnings() {
        session.out.warning(warning);
    }
    session
}

fn end(session: &Session, result: Result<(), Failure>) -> ExitCode {
    session.out.progress.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = session.judged(failure);
            session.out.failure(&failure);
            ExitCode::from(failure.code.exit())
        }
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Outcome, machine};

pub const USAGE: &str = "\
usage: cargo bench --bench load -- WHAT [OPTIONS]

WHAT
  unary      SendMessage of `echo` by every binding, on memory and on SQLite
  tasks      completed tasks per second on SQLite, and single rows committed one by one
  streams    events per second through 1 and 100 gRPC streams
  idle       memory for each idle gRPC subscriber
  stalled    latency of 1,000 readers alone, and beside 1,000 that have stopped reading
  cost       how appends, listings and reads grow with histories of 10,000 and with a million tasks
  secure     what a JWT, roles, quotas and audit cost a unary call over mutual TLS
  hostile    latency of healthy callers, and memory, without and with each of a dozen attacks
  push       deliveries to webhooks per second and their cost, and what callers notice of them
  client     what a call costs this library's client, by every binding
  all        all of these

OPTIONS
  --quick           only the middle of the matrix: gRPC on memory with 16 in flight
  --rounds N        rounds of every measurement, baseline and subject in turn [default: 5]
  --seconds S       seconds of one round [default: 2]
  --warm-up S       seconds of load before it [default: 0.5]
  --only TEXT       of unary only the bindings, of secure the stores, of hostile the attacks whose name contains TEXT
  --tasks N         of cost, tasks in the large database [default: 1000000]
  --postgres URL    of cost, a PostgreSQL server to look at as well, where databases may be made
  --dir PATH        where databases are made [default: cargo's directory for temporary files]
  --a2ad PATH       the program to measure [default: the one built with this bench]
  --no-pin          leave it to the system on which cores everything runs";

/// What to measure, or which bare server to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Unary,
    Tasks,
    Streams,
    Idle,
    Stalled,
    Cost,
    Secure,
    Hostile,
    Push,
    Client,
    All,
    Help,
    /// Commits single rows for a while.
    SingleRows,
    /// Touches memory and ends.
    TouchMemory,
    Serve(Baseline),
}

/// The servers that this program can be itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    Tonic,
    Axum,
    /// A sender, and a server only of orders to send.
    Hyper,
}

impl Baseline {
    pub fn flag(self) -> &'static str {
        match self {
            Self::Tonic => "--serve-tonic-echo",
            Self::Axum => "--serve-axum-echo",
            Self::Hyper => "--post-by-hyper",
        }
    }
}

/// The command line, read.
#[derive(Clone, Debug)]
pub struct Options {
    pub what: What,
    pub quick: bool,
    pub rounds: usize,
    pub seconds: Duration,
    pub warm_up: Duration,
    pub only: String,
    pub tasks: usize,
    pub postgres: Option<String>,
    pub dir: PathBuf,
    pub a2ad: PathBuf,
    pub pin: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            what: What::Help,
            quick: false,
            rounds: 5,
            seconds: Duration::from_secs(2),
            warm_up: Duration::from_millis(500),
            only: String::new(),
            tasks: 1_000_000,
            postgres: None,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
            a2ad: PathBuf::from(env!("CARGO_BIN_EXE_a2ad")),
            pin: true,
        }
    }
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                // Cargo says this to every bench.
                "--bench" => {}
                "unary" => options.what = What::Unary,
                "tasks" => options.what = What::Tasks,
                "streams" => options.what = What::Streams,
                "idle" => options.what = What::Idle,
                "stalled" => options.what = What::Stalled,
                "cost" => options.what = What::Cost,
                "secure" => options.what = What::Secure,
                "hostile" => options.what = What::Hostile,
                "push" => options.what = What::Push,
                "client" => options.what = What::Client,
                machine::TOUCH_MEMORY => options.what = What::TouchMemory,
                "--single-rows" => options.what = What::SingleRows,
                "all" => options.what = What::All,
                "--serve-tonic-echo" => options.what = What::Serve(Baseline::Tonic),
                "--serve-axum-echo" => options.what = What::Serve(Baseline::Axum),
                "--post-by-hyper" => options.what = What::Serve(Baseline::Hyper),
                "--quick" => options.quick = true,
                "--no-pin" => options.pin = false,
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--seconds" => options.seconds = seconds(&value()?)?,
                "--warm-up" => options.warm_up = seconds(&value()?)?,
                "--only" => options.only = value()?,
                "--postgres" => options.postgres = Some(value()?),
                "--tasks" => options.tasks = value()?.parse()?,
                "--dir" => options.dir = value()?.into(),
                "--a2ad" => options.a2ad = value()?.into(),
                "help" | "--help" | "-h" => options.what = What::Help,
                unknown => return Err(format!("{unknown} is not known\n\n{USAGE}").into()),
            }
        }
        Ok(options)
    }
}

fn seconds(text: &str) -> Outcome<Duration> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

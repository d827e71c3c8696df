//! `a2ad bench`: how fast an agent answers, by any binding, with certificates and credentials like any other command.
//!
//! Without `--rate` each of the concurrent callers sends its next request when it has its answer (closed loop). With it,
//! requests are due at fixed times whatever the agent does (open loop): a request that has to wait for a free caller waits
//! at the agent's expense, so that slow answers can't hide those behind them (coordinated omission). What a request costs
//! beyond its time is not kept: memory does not grow with the number of requests.

mod figures;
mod load;
mod work;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::figures::Recorder;
use self::load::{Load, Phase};
use self::work::Work;
use super::failure::Failure;
use super::options::{Options, duration};
use super::parts::Parts;
use super::session::Session;

/// What is done where nothing else is said.
const DURATION: Duration = Duration::from_secs(10);

/// Measure how fast an agent is; every request is a real one, and every send makes a task
#[derive(Args)]
pub struct Bench {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    plan: Plan,
}

/// How much is asked for, and how.
#[derive(Args)]
#[command(next_help_heading = "Load")]
struct Plan {
    /// Get this task instead of sending messages
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// Connections, over which the requests are spread
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// How long requests are begun [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "requests")]
    duration: Option<Duration>,
    /// How many requests are begun
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Requests a second, due at fixed times however long answers take; as many as there can be if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// How long requests are made before they are measured
    #[arg(long, value_name = "TIME", value_parser = duration)]
    warmup: Option<Duration>,
}

impl Bench {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let is_stream = session.options.output.stream;
        let work = Arc::new(match &self.plan.task {
            Some(_) if is_stream || !self.parts.is_empty() => {
                return Err(Failure::usage(
                    "--task is for getting a task, with nothing to send or to stream",
                ));
            }
            Some(id) => Work::get(id),
            None if self.parts.is_empty() => {
                return Err(Failure::usage("there is nothing to send").with_hint(
                    "write a text behind `a2ad bench`, or --text, --data or --file; or get a task by --task",
                ));
            }
            None => Work::send(self.parts.whole()?, is_stream),
        });
        session
            .out
            .warning("every request is a real one; the agent does, keeps and bills what it is asked for");
        let mut clients = Vec::new();
        for _ in 0..self.plan.connections {
            clients.push(session.connect().await?.client);
        }
        let load = Load {
            clients,
            work,
            concurrency: self.plan.concurrency,
            rate: self.plan.rate,
            limit: session.options.times.timeout,
        };
        let measured = self.measure(session, &load).await?;
        session
            .out
            .result(&measured, |page, figures| figures.describe(page))
    }

    /// Warms up and measures; what there is when somebody presses Ctrl-C.
    async fn measure(&self, session: &Session, load: &Load) -> Result<figures::Figures, Failure> {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        if let Some(warmup) = self.plan.warmup {
            let recorder = Arc::new(Recorder::new()?);
            let outcome = load
                .run(Phase::lasting(warmup), &recorder, &mut interrupted)
                .await;
            // Who has pressed Ctrl-C is not waited for again.
            if outcome.is_interrupted {
                return Err(Failure::internal("ended in the warm-up; nothing was measured"));
            }
        }
        let phase = match self.plan.requests {
            Some(count) => Phase::of(count),
            None => Phase::lasting(self.plan.duration.unwrap_or(DURATION)),
        };
        let recorder = Arc::new(Recorder::new()?);
        let outcome = load.run(phase, &recorder, &mut interrupted).await;
        if outcome.is_interrupted {
            session.out.warning("ended early; these are the figures so far");
        }
        recorder.figures(outcome)
    }
}

//! `a2ad task get` and `a2ad task cancel`.

use a2ad::pb::{CancelTaskRequest, Struct};
use clap::{ArgAction, Args};

use super::One;
use crate::cli::agent::failure::Failure;
use crate::cli::agent::follow::Follower;
use crate::cli::agent::session::Session;
use crate::cli::agent::{render, told, value};

#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    pub task: One,
    /// Show as many of its latest messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    history: Option<i32>,
    /// Wait until it has ended or needs somebody
    #[arg(long, visible_alias = "watch", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set, value_name = "true|false")]
    wait: bool,
}

impl Get {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let mut follower = Follower::new(session, &agent, self.history);
        let id = &self.task.id;
        let task = match self.wait {
            true => follower.ask(id).await?,
            false => follower.task(id).await?,
        };
        print(session, &task, self.history.is_some())
    }
}

#[derive(Args)]
pub struct Cancel {
    #[command(flatten)]
    pub task: One,
    /// Metadata of the request, a JSON object
    #[arg(long, value_name = "JSON", value_parser = value::object)]
    metadata: Option<Struct>,
}

impl Cancel {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let request = CancelTaskRequest {
            tenant: String::new(),
            id: self.task.id,
            metadata: self.metadata,
        };
        print(session, &agent.client.cancel(request).await?, false)
    }
}

/// A task as the result of a command.
pub fn print(session: &Session, task: &a2ad::pb::Task, with_history: bool) -> Result<(), Failure> {
    let next = told::next(session, task);
    session.out.result(task, |page, task| {
        render::task(page, task, next.as_deref(), with_history, session.out.is_verbose);
    })?;
    told::outcome(session, task);
    Ok(())
}

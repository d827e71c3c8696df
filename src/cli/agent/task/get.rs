//! `a2ad task get` and `a2ad task cancel`.

use a2ad::pb::{CancelTaskRequest, Struct, Task, TaskState};
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
        let id = &self.task.id;
        session.is_about(id);
        let agent = session.connect().await?;
        let mut follower = Follower::new(session, &agent, self.history);
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
        let task = agent.client.cancel(request).await?;
        show(session, &task, false)?;
        // Canceled is what it was to become.
        if task
            .status
            .as_ref()
            .is_none_or(|status| status.state() != TaskState::Canceled)
        {
            told::outcome(session, &task);
        }
        Ok(())
    }
}

/// A task as the result of a command, and a warning of what it has come to.
pub fn print(session: &Session, task: &Task, with_history: bool) -> Result<(), Failure> {
    show(session, task, with_history)?;
    told::outcome(session, task);
    Ok(())
}

fn show(session: &Session, task: &Task, with_history: bool) -> Result<(), Failure> {
    let next = told::next(session, task);
    session.out.result(task, |page, task| {
        render::task(page, task, next.as_deref(), with_history, session.out.is_verbose);
    })
}

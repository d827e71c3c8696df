//! `a2ad task`.

mod download;
mod get;
mod list;
mod listen;
mod names;
mod pages;
mod push_config;
mod subscribe;

pub use get::print;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::options::Options;
use super::session::Session;

#[derive(Subcommand)]
pub enum Task {
    /// Show a task: its state, its artifacts, and its history if asked for
    Get(get::Get),
    /// List tasks, newest first
    List(list::List),
    /// Cancel a task
    Cancel(get::Cancel),
    /// Follow a task until it has ended or needs somebody; --stream prints its events as they happen
    Subscribe(subscribe::Subscribe),
    /// Save the artifacts of a task as files
    Download(download::Download),
    /// Say where the events of a task are sent to
    #[command(subcommand)]
    PushConfig(push_config::PushConfig),
}

/// One task of an agent.
#[derive(Args)]
pub struct One {
    #[command(flatten)]
    pub options: Box<Options>,
    /// The task's id
    #[arg(value_name = "TASK")]
    pub id: String,
}

impl Task {
    pub fn options(&self) -> &Options {
        match self {
            Self::Get(command) => &command.task.options,
            Self::List(command) => &command.options,
            Self::Cancel(command) => &command.task.options,
            Self::Subscribe(command) => &command.task.options,
            Self::Download(command) => &command.task.options,
            Self::PushConfig(command) => command.options(),
        }
    }

    /// Whether it goes on until somebody ends it.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::PushConfig(push_config::PushConfig::Listen(_)))
    }

    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Get(command) => command.run(session).await,
            Self::List(command) => command.run(session).await,
            Self::Cancel(command) => command.run(session).await,
            Self::Subscribe(command) => command.run(session).await,
            Self::Download(command) => command.run(session).await,
            Self::PushConfig(command) => command.run(session).await,
        }
    }
}

//! `a2ad task subscribe`.

use clap::Args;

use super::{One, get};
use crate::cli::agent::failure::Failure;
use crate::cli::agent::follow::Follower;
use crate::cli::agent::session::Session;

#[derive(Args)]
pub struct Subscribe {
    #[command(flatten)]
    pub task: One,
    /// Begin behind this generation instead of with the task; for agents that number their events
    #[arg(long, value_name = "GENERATION")]
    after: Option<u64>,
}

impl Subscribe {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        session.is_about(&self.task.id);
        let agent = session.connect().await?;
        let prints = session.options.output.stream;
        let mut follower = Follower::new(session, &agent, None);
        match follower.subscribe(&self.task.id, self.after, prints).await? {
            Some(task) if !prints => get::print(session, &task, false),
            _ => Ok(()),
        }
    }
}

//! `a2ad chat`: one turn after the other, each about what the one before was about (a2a-cli specification 8.1).
//!
//! A line is a message, or a command that begins with `/`. People on a terminal get a plain prompt on standard error. From a
//! pipe lines are taken as they come, without prompts, and the first turn that fails ends it. Where results don't go to a
//! terminal, nobody at one is waited for (11.2).

mod lines;
mod said;

use std::time::Duration;

use a2ad::pb::{
    CancelTaskRequest, GetTaskRequest, Message, Part, Role, SendMessageConfiguration, SendMessageRequest,
    part,
};
use a2ad::task::{is_interrupted, is_terminal, new_id};
use clap::Args;

use self::lines::Lines;
use self::said::Said;
use super::connect::Agent;
use super::failure::Failure;
use super::follow::Follower;
use super::options::Options;
use super::out::Format;
use super::session::Session;
use super::task::print;

/// Talk with an agent, line by line
#[derive(Args)]
pub struct Chat {
    #[command(flatten)]
    pub options: Options,
    /// Messages to begin with, before lines are read
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Go on in this context
    #[arg(long, value_name = "ID", default_value = "")]
    context_id: String,
    /// Go on with this task
    #[arg(long, value_name = "ID", default_value = "")]
    task_id: String,
}

impl Chat {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        if session.out.format == Format::Json && !session.options.output.stream {
            return Err(
                Failure::usage("a chat has many results, and -o json is for one document")
                    .with_hint("add --stream for one document a line, or send one message with `a2ad send`"),
            );
        }
        let mut lines = Lines::open(!self.texts.is_empty())?;
        let mut talk = Talk {
            session,
            agent: session.connect().await?,
            limit: session.options.times.timeout,
            context_id: self.context_id,
            task_id: self.task_id.clone(),
            last_task_id: self.task_id,
        };
        for text in &self.texts {
            talk.turn(text).await?;
        }
        if lines.are_for_people() {
            session.out.note(said::HELP);
        }
        while let Some(line) = lines.next().await? {
            let said = Said::of(&line);
            if matches!(said, Said::Quit) {
                break;
            }
            match talk.answer(said).await {
                // Somebody is there who can say something else.
                Err(failure) if lines.are_for_people() => session.out.failure(&failure),
                answered => answered?,
            }
        }
        Ok(())
    }
}

/// What the next turn goes on from.
struct Talk<'a> {
    session: &'a Session,
    agent: Agent,
    limit: Duration,
    context_id: String,
    /// The task that waits for somebody; empty if none does.
    task_id: String,
    last_task_id: String,
}

impl Talk<'_> {
    async fn answer(&mut self, said: Said<'_>) -> Result<(), Failure> {
        match said {
            Said::Nothing | Said::Quit => Ok(()),
            Said::Message(text) => self.turn(text).await,
            Said::Task => self.show().await,
            Said::Cancel => self.cancel().await,
            Said::Unknown(word) => Err(Failure::usage(format!("{word} is no command")).with_hint(said::HELP)),
        }
    }

    /// Sends a message and prints what happens, up to the end of the turn.
    async fn turn(&mut self, text: &str) -> Result<(), Failure> {
        let request = self.request(text);
        let mut follower = Follower::new(self.session, &self.agent, None);
        let ended = tokio::time::timeout(self.limit, follower.stream(request)).await;
        let shown = follower.shown().clone();
        if !shown.context_id.is_empty() {
            self.context_id = shown.context_id;
        }
        if !shown.task_id.is_empty() {
            self.last_task_id.clone_from(&shown.task_id);
        }
        ended.unwrap_or_else(|_| Err(self.session.timeout(self.limit)))?;
        let state = a2ad::pb::TaskState::try_from(shown.state).unwrap_or_default();
        self.task_id = if is_interrupted(state) {
            shown.task_id
        } else {
            String::new()
        };
        Ok(())
    }

    fn request(&self, text: &str) -> SendMessageRequest {
        SendMessageRequest {
            message: Some(Message {
                message_id: new_id(),
                role: Role::User.into(),
                context_id: self.context_id.clone(),
                task_id: self.task_id.clone(),
                parts: vec![Part {
                    content: Some(part::Content::Text(text.to_owned())),
                    ..Part::default()
                }],
                ..Message::default()
            }),
            configuration: Some(SendMessageConfiguration::default()),
            ..SendMessageRequest::default()
        }
    }

    async fn show(&self) -> Result<(), Failure> {
        let request = GetTaskRequest {
            id: self.last_task()?.to_owned(),
            history_length: Some(0),
            ..GetTaskRequest::default()
        };
        print(self.session, &self.agent.client.task(request).await?, false)
    }

    async fn cancel(&mut self) -> Result<(), Failure> {
        let request = CancelTaskRequest {
            id: self.last_task()?.to_owned(),
            ..CancelTaskRequest::default()
        };
        let task = self.agent.client.cancel(request).await?;
        let state = task.status.as_ref().map(|status| status.state());
        if is_terminal(state.unwrap_or_default()) {
            self.task_id.clear();
        }
        print(self.session, &task, false)
    }

    fn last_task(&self) -> Result<&str, Failure> {
        match self.last_task_id.as_str() {
            "" => Err(Failure::usage("there is no task yet").with_hint("write a message first")),
            id => Ok(id),
        }
    }
}

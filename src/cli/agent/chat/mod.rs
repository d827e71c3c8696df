//! `a2ad chat`: one turn after the other, each about what the one before was about (a2a-cli specification 8.1).
//!
//! A line is a message, or a command that begins with `/`. People on a terminal get a plain prompt on standard error. From a
//! pipe lines are taken as they come, without prompts, and the first turn that fails ends it. Where results don't go to a
//! terminal, nobody at one is waited for (11.2). A task that has ended elsewhere since the last turn keeps nobody from going
//! on: the message begins a new one in its context, and that is told. One that the user named is the user's to replace, and
//! what the agent has taken is never sent again.

mod lines;
mod said;

use std::time::Duration;

use a2ad::client::Error;
use a2ad::error::Kind;
use a2ad::pb::{
    CancelTaskRequest, GetTaskRequest, Message, Part, Role, SendMessageConfiguration, SendMessageRequest,
    Task, part,
};
use a2ad::task::{is_interrupted, is_terminal, new_id};
use clap::Args;

use self::lines::Lines;
use self::said::Said;
use super::connect::Agent;
use super::failure::{Code, Failure};
use super::follow::Follower;
use super::options::Options;
use super::out::Format;
use super::render::state_name;
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
            named: self.task_id.clone(),
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
    /// The task that the user named; empty if none was.
    named: String,
    last_task_id: String,
}

/// A message that did not come to the end of its turn.
struct Fallen {
    failure: Failure,
    /// The agent had taken it.
    is_taken: bool,
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

    /// Says something to the task that waits, or begins one.
    async fn turn(&mut self, text: &str) -> Result<(), Failure> {
        let Err(fallen) = self.send(text).await else {
            return Ok(());
        };
        let Fallen { failure, is_taken } = fallen;
        if !is_refusal(&failure) {
            return Err(failure);
        }
        if is_taken {
            let id = &self.last_task_id;
            return Err(failure.with_hint(format!(
                "the agent had taken the message for task {id}, so it is not sent again; /task shows whether the task is there"
            )));
        }
        let Some(end) = self.ended_elsewhere().await else {
            return Err(failure);
        };
        let (out, id) = (&self.session.out, std::mem::take(&mut self.task_id));
        out.note(&format!(
            "task {id} {end}; the message begins a new task in the same context"
        ));
        self.send(text).await.map_err(|fallen| fallen.failure)
    }

    /// What has become of the task that did not take a message, if it is one of this chat and no more to be had.
    async fn ended_elsewhere(&self) -> Option<String> {
        if self.task_id.is_empty() || self.task_id == self.named {
            return None;
        }
        let state = match self.ask(&self.task_id).await {
            Ok(task) => task.status.unwrap_or_default().state(),
            Err(error) if error.kind() == Some(Kind::TaskNotFound) => {
                return Some("is not known to the agent any more".to_owned());
            }
            Err(_) => return None,
        };
        is_terminal(state).then(|| format!("has ended elsewhere as {}", state_name(state.into())))
    }

    /// Sends a message and prints what happens, up to the end of the turn.
    async fn send(&mut self, text: &str) -> Result<(), Fallen> {
        let request = self.request(text);
        let mut follower = Follower::new(self.session, &self.agent, None);
        let ended = tokio::time::timeout(self.limit, follower.stream(request)).await;
        let (shown, is_taken) = (follower.shown().clone(), follower.has_heard());
        let state = shown.state();
        if !shown.context_id.is_empty() {
            self.context_id = shown.context_id;
        }
        if !shown.task_id.is_empty() {
            self.last_task_id.clone_from(&shown.task_id);
        }
        let ended = ended.unwrap_or_else(|_| Err(self.session.timeout(self.limit)));
        ended.map_err(|failure| Fallen { failure, is_taken })?;
        self.task_id = match is_interrupted(state) {
            true => shown.task_id,
            false => String::new(),
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
        let task = self.ask(self.last_task()?).await?;
        print(self.session, &task, false)
    }

    async fn ask(&self, id: &str) -> Result<Task, Error> {
        let request = GetTaskRequest {
            id: id.to_owned(),
            history_length: Some(0),
            ..GetTaskRequest::default()
        };
        self.agent.client.task(request).await
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

/// Whether the agent may mean by it that a task takes no message. Agents have several words for it.
fn is_refusal(failure: &Failure) -> bool {
    let refusals = [
        Kind::TaskNotFound,
        Kind::UnsupportedOperation,
        Kind::InvalidParams,
        Kind::InvalidRequest,
    ];
    matches!(failure.code, Code::Protocol(kind) if refusals.contains(&kind))
}

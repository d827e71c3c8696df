//! `a2ad send`.

use a2ad::client::upload::Uploads;
use a2ad::pb::{
    Message, Role, SendMessageConfiguration, SendMessageRequest, SendMessageResponse, Struct,
    send_message_response::Payload,
};
use a2ad::task::new_id;
use clap::{ArgAction, Args};

use super::failure::{Code, Failure};
use super::follow::{Ending, Follower};
use super::options::Options;
use super::parts::Parts;
use super::session::Session;
use super::{render, told, value};

/// Send a message to an agent
#[derive(Args)]
pub struct Send {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    turn: Turn,
}

/// What the message belongs to, and what is waited for.
#[derive(Args)]
#[command(next_help_heading = "Message")]
struct Turn {
    /// Begin a new task in this context
    #[arg(long, value_name = "ID")]
    context_id: Option<String>,
    /// Continue this task
    #[arg(long, value_name = "ID")]
    task_id: Option<String>,
    /// Metadata of the request, a JSON object
    #[arg(long, value_name = "JSON", value_parser = value::object)]
    metadata: Option<Struct>,
    /// The id of the message, to send the same one again; a new one if not given
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Show as many of the task's latest messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    history: Option<i32>,
    /// Wait until the task has ended or needs somebody
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = ArgAction::Set, value_name = "true|false")]
    wait: bool,
    /// Return as soon as the message is accepted
    #[arg(long = "async", visible_aliases = ["return-immediately", "no-wait"], num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set, value_name = "true|false")]
    r#async: bool,
}

impl Send {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let waits = self.waits(session)?;
        let is_stream = session.options.output.stream;
        if !waits && is_stream {
            return Err(Failure::usage(
                "--stream follows the task and --async does not wait for it: give one of them",
            ));
        }
        let (request, uploads) = self.request(session, !waits).await?;
        let continues = self.turn.task_id.is_some();
        let agent = session.connect().await?;
        let mut follower = Follower::new(session, &agent, self.turn.history);
        follower.uploads = uploads.clone();
        let sent = if is_stream {
            follower.stream(request).await.map(|()| None)
        } else if waits {
            follower.wait(request).await.map(Some)
        } else {
            agent
                .client
                .send_with(request, uploads)
                .await
                .map_err(Failure::from)
                .map(|response| response.payload.map(Ending::from))
        };
        match sent.map_err(|failure| if continues { about_task(failure) } else { failure })? {
            Some(ending) => self.print(session, ending),
            None if is_stream => Ok(()),
            None => Err(Failure::new(
                Code::Protocol(a2ad::error::Kind::InvalidAgentResponse),
                "the agent's answer holds neither a task nor a message",
            )),
        }
    }

    /// Whether the end is waited for: of --wait and --async, what comes from the higher source.
    fn waits(&self, session: &Session) -> Result<bool, Failure> {
        let given = &session.options.given;
        match (self.turn.wait, self.turn.r#async) {
            (true, true) if given.holds("wait") && given.holds("async") => {
                Err(Failure::usage("--wait and --async exclude each other"))
            }
            (true, true) => Ok(given.higher("async", "wait", &session.sources) == "wait"),
            (wait, is_async) => Ok(wait && !is_async),
        }
    }

    /// What is sent, and the files that are read meanwhile.
    async fn request(
        &self,
        session: &Session,
        return_immediately: bool,
    ) -> Result<(SendMessageRequest, Uploads), Failure> {
        let turn = &self.turn;
        let mut message = Message {
            message_id: turn.message_id.clone().unwrap_or_else(new_id),
            task_id: turn.task_id.clone().unwrap_or_default(),
            context_id: turn.context_id.clone().unwrap_or_default(),
            role: Role::User.into(),
            ..Message::default()
        };
        let uploads = self.parts.put_into(&mut message, &session.out.progress).await?;
        let request = SendMessageRequest {
            tenant: String::new(),
            message: Some(message),
            configuration: Some(SendMessageConfiguration {
                return_immediately,
                history_length: turn.history,
                ..SendMessageConfiguration::default()
            }),
            metadata: turn.metadata.clone(),
        };
        Ok((request, uploads.paced(session.pace.clone())))
    }

    fn print(&self, session: &Session, ending: Ending) -> Result<(), Failure> {
        let with_history = self.turn.history.is_some();
        let is_verbose = session.out.is_verbose;
        let response = SendMessageResponse {
            payload: Some(ending.into()),
        };
        session
            .out
            .result(&response, |page, response| match &response.payload {
                Some(Payload::Task(task)) => {
                    let next = told::next(session, task);
                    render::task(page, task, next.as_deref(), with_history, is_verbose);
                }
                Some(Payload::Message(said)) => {
                    page.field_if("Context", &said.context_id);
                    render::message(page, "Message", said, is_verbose);
                }
                None => {}
            })?;
        if let Some(Payload::Task(task)) = &response.payload {
            told::outcome(session, task);
        }
        Ok(())
    }
}

/// A task that can't be continued is not replaced by another one; what its agent said is worth a look.
fn about_task(failure: Failure) -> Failure {
    match failure.code {
        Code::Protocol(_) if failure.hint.as_ref().is_none_or(|hint| !hint.contains("--debug")) => {
            failure.with_hint("nothing was begun; --debug shows what the agent said")
        }
        _ => failure,
    }
}

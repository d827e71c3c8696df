//! Waiting for a task as the library does ([`Client::follow`](a2ad::client::Client::follow)), and telling of it: by its
//! stream where the agent has one, by asking again and again where it has none or the stream breaks (a2a-cli specification
//! 9.2 and 9.3).

use std::time::Duration;

use a2ad::client::Error;
use a2ad::client::streams::{Following, Told, Wait, WaitError, WaitMode, Watch};
use a2ad::client::upload::Uploads;
use a2ad::error::Kind;
use a2ad::pb::{
    GetTaskRequest, Message, SendMessageRequest, StreamResponse, SubscribeToTaskRequest, Task, TaskState,
    send_message_response, stream_response,
};
use a2ad::task::is_settled;

use super::connect::Agent;
use super::failure::{Code, Failure};
use super::page::Page;
use super::render::{self, Shown};
use super::session::Session;
use super::told;

/// The first pause between two questions is this part of `--poll-interval`; it grows up to it.
const FIRST_PAUSE: u32 = 8;

/// What a send ended with.
pub enum Ending {
    Task(Box<Task>),
    Message(Box<Message>),
}

impl From<send_message_response::Payload> for Ending {
    fn from(payload: send_message_response::Payload) -> Self {
        match payload {
            send_message_response::Payload::Task(task) => Self::Task(Box::new(task)),
            send_message_response::Payload::Message(message) => Self::Message(Box::new(message)),
        }
    }
}

impl From<Ending> for send_message_response::Payload {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Task(task) => Self::Task(*task),
            Ending::Message(message) => Self::Message(*message),
        }
    }
}

/// Follows one task.
pub struct Follower<'a> {
    session: &'a Session,
    agent: &'a Agent,
    history: Option<i32>,
    /// What goes along with the message.
    pub uploads: Uploads,
    shown: Shown,
    /// Whether events are printed as they come.
    prints: bool,
    has_streams: bool,
    /// Nothing has come by a stream yet.
    is_first: bool,
    /// Something has come in any way.
    has_heard: bool,
    /// What came last, unless that was the event of a task.
    ending: Option<Ending>,
}

impl<'a> Follower<'a> {
    pub fn new(session: &'a Session, agent: &'a Agent, history: Option<i32>) -> Self {
        Self {
            session,
            agent,
            history,
            uploads: Uploads::default(),
            shown: Shown::default(),
            prints: false,
            has_streams: true,
            is_first: true,
            has_heard: false,
            ending: None,
        }
    }

    /// What is known of the task so far.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Whether the agent has said something of the task, or has answered: a message that was sent has been taken then,
    /// whatever fails later.
    pub fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Sends and waits for the end.
    pub async fn wait(&mut self, request: SendMessageRequest) -> Result<Ending, Failure> {
        self.follow(self.sending(request)).await?;
        self.ending.take().ok_or_else(empty)
    }

    /// Sends and prints what happens, up to the end.
    pub async fn stream(&mut self, request: SendMessageRequest) -> Result<(), Failure> {
        self.prints = true;
        self.follow(self.sending(request)).await?;
        if !self.has_streams {
            self.session
                .out
                .warning("the agent has no streams; it is asked again and again");
        }
        self.last()
    }

    /// Subscribes to a task, behind the generation that was seen last if there is one, and waits for the end.
    pub async fn subscribe(
        &mut self,
        id: &str,
        after: Option<u64>,
        prints: bool,
    ) -> Result<Option<Task>, Failure> {
        self.prints = prints;
        id.clone_into(&mut self.shown.task_id);
        let request = SubscribeToTaskRequest {
            tenant: String::new(),
            id: id.to_owned(),
        };
        self.follow(Following::Subscribing(request, after)).await?;
        if prints {
            self.last()?;
            return Ok(None);
        }
        match self.ending.take() {
            Some(Ending::Task(task)) => Ok(Some(*task)),
            _ => Ok(None),
        }
    }

    /// Asks for a task until it has ended or needs somebody.
    pub async fn ask(&mut self, id: &str) -> Result<Task, Failure> {
        let request = self.question(id);
        self.follow(Following::Looking(request)).await?;
        match self.ending.take() {
            Some(Ending::Task(task)) => Ok(*task),
            _ => Err(empty()),
        }
    }

    /// The task as it is.
    pub async fn task(&self, id: &str) -> Result<Task, Error> {
        self.agent.client.task(self.question(id)).await
    }

    fn sending(&self, request: SendMessageRequest) -> Following {
        Following::Sending(Box::new(request), self.uploads.clone())
    }

    fn question(&self, id: &str) -> GetTaskRequest {
        GetTaskRequest {
            tenant: String::new(),
            id: id.to_owned(),
            history_length: Some(self.history.unwrap_or(0)),
        }
    }

    async fn follow(&mut self, following: Following) -> Result<(), Failure> {
        let limit = self.session.options.times.poll_interval;
        let wait = Wait {
            mode: WaitMode::Streaming,
            // The end of the command's own time says more.
            timeout: Duration::MAX,
            interval: limit / FIRST_PAUSE,
            interval_max: limit,
            history_length: Some(self.history.unwrap_or(0)),
            ..Wait::default()
        };
        let agent = self.agent;
        agent.client.follow(following, &wait, self).await.map(drop)
    }

    fn event(&mut self, event: &StreamResponse) -> Result<(), Failure> {
        let is_first = std::mem::take(&mut self.is_first);
        self.ending = None;
        if let Some(stream_response::Payload::Task(task)) = &event.payload {
            self.session.is_about(&task.id);
            if is_first && !self.prints && !is_settled(state_of(task)) {
                self.waiting(task);
            }
        }
        let is_task = self.shown.see(event);
        self.print(event)?;
        if let Some(stream_response::Payload::Message(message)) = &event.payload {
            self.ending = Some(Ending::Message(Box::new(message.clone())));
        }
        if is_task {
            let state = render::state_name(self.shown.state);
            self.session
                .out
                .progress
                .say(format!("task {} is {state}", self.shown.task_id));
        }
        Ok(())
    }

    fn print(&self, event: &StreamResponse) -> Result<(), Failure> {
        if !self.prints {
            return Ok(());
        }
        let out = &self.session.out;
        let next = told::next_of(self.session, &self.shown.task_id, self.shown.state())
            .filter(|_| is_settled(self.shown.state()));
        out.result(event, |page: &mut Page, event| {
            let with_history = self.history.is_some();
            render::event(
                page,
                event,
                &self.shown,
                next.as_deref(),
                with_history,
                out.is_verbose,
            );
        })
    }

    /// Prints what there is in the end as the last event, unless it was one; and what came of the task.
    fn last(&mut self) -> Result<(), Failure> {
        let payload = match self.ending.take() {
            // It was printed as it came.
            Some(Ending::Message(_)) if !self.is_first => return Ok(()),
            Some(Ending::Message(message)) => Some(stream_response::Payload::Message(*message)),
            Some(Ending::Task(task)) => Some(stream_response::Payload::Task(*task)),
            None => None,
        };
        let mut is_task = true;
        if payload.is_some() {
            let event = StreamResponse { payload };
            is_task = self.shown.see(&event);
            self.print(&event)?;
        }
        if is_task {
            told::outcome_of(self.session, &self.shown.task_id, self.shown.state);
        }
        Ok(())
    }

    /// Learns the id of the task, and tells it the first time: who gives up waiting needs it.
    fn know(&mut self, task: &Task) {
        self.session.is_about(&task.id);
        self.session.out.progress.say(format!(
            "task {} is {}",
            task.id,
            render::state_name(state_of(task).into())
        ));
        if self.shown.task_id.is_empty() && !is_settled(state_of(task)) {
            self.waiting(task);
        }
        self.shown.task_id.clone_from(&task.id);
    }

    fn waiting(&self, task: &Task) {
        let next = self.session.command(&["task", "get", &task.id, "--wait"]);
        self.session
            .out
            .note(&format!("waiting for task {} (later: {next})", task.id));
    }
}

impl Watch for Follower<'_> {
    type Error = Failure;

    fn see(&mut self, told: Told) -> Result<(), Failure> {
        self.has_heard |= matches!(told, Told::Event(_) | Told::Task(_) | Told::Message(_));
        match told {
            Told::Event(event) => self.event(&event)?,
            Told::Task(task) => {
                self.know(&task);
                self.ending = Some(Ending::Task(Box::new(task)));
            }
            Told::Message(message) => self.ending = Some(Ending::Message(Box::new(message))),
            Told::NoStreams => self.has_streams = false,
            Told::Broken(error) => {
                let text = format!("the stream broke ({error}); the task is asked for instead");
                self.session.out.warning(&text);
            }
        }
        Ok(())
    }

    /// What was printed as it came is enough.
    fn wants_task(&self) -> bool {
        !self.prints
    }
}

impl From<WaitError> for Failure {
    /// The task is known to the session.
    fn from(error: WaitError) -> Self {
        error.error.into()
    }
}

fn state_of(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default()
}

fn empty() -> Failure {
    Failure::new(
        Code::Protocol(Kind::InvalidAgentResponse),
        "the agent's answer holds neither a task nor a message",
    )
}

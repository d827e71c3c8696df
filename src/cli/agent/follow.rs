//! Waiting for a task: by its stream where the agent has one, by asking again and again where it has none or the stream breaks
//! (a2a-cli specification 9.2 and 9.3).

use std::time::Duration;

use a2ad::client::upload::Uploads;
use a2ad::client::{Error, EventStream};
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

/// The first pause between two questions is this part of `--poll-interval`; it doubles up to it.
const FIRST_PAUSE: u32 = 8;
/// How many questions in a row may fail before waiting is given up.
const FAILURES_MAX: u32 = 5;

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

/// Why following a stream stopped.
enum Stop {
    /// A message came instead of a task.
    Message(Box<Message>),
    /// The task has ended or needs somebody.
    Settled,
    /// The stream is over, and the task is not.
    Ended(Option<Error>),
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
        }
    }

    /// What is known of the task so far.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Sends and waits for the end.
    pub async fn wait(&mut self, request: SendMessageRequest) -> Result<Ending, Failure> {
        match self.open(&request).await? {
            Some(events) => self.settle(events, continued(&request)).await,
            None => self.send_and_ask(request).await,
        }
    }

    /// Sends and prints what happens, up to the end.
    pub async fn stream(&mut self, request: SendMessageRequest) -> Result<(), Failure> {
        self.prints = true;
        match self.open(&request).await? {
            Some(events) => self.settle(events, continued(&request)).await.map(drop),
            None => {
                let ending = self.send_and_ask(request).await?;
                self.session
                    .out
                    .warning("the agent has no streams; it is asked again and again");
                self.last(ending)
            }
        }
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
        let events = match self.agent.client.subscribe(request, after).await {
            Err(error) if is_broken(&error) => broken(error),
            opened => opened?,
        };
        match self.settle(events, None).await? {
            Ending::Task(task) => Ok(Some(*task)),
            Ending::Message(_) => Ok(None),
        }
    }

    /// Asks for a task until it has ended or needs somebody.
    pub async fn ask(&mut self, id: &str) -> Result<Task, Failure> {
        let limit = self.session.options.times.poll_interval;
        let mut pause = (limit / FIRST_PAUSE).max(Duration::from_millis(1));
        let mut failures = 0;
        loop {
            match self.task(id).await {
                Ok(task) => {
                    failures = 0;
                    self.know(&task);
                    if is_settled(state_of(&task)) {
                        return Ok(task);
                    }
                    pause = (pause * 2).min(limit);
                }
                Err(error) if error.is_transient() && failures < FAILURES_MAX => {
                    failures += 1;
                    pause = limit * 2_u32.pow(failures.min(3));
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The task as it is.
    pub async fn task(&self, id: &str) -> Result<Task, Error> {
        let request = GetTaskRequest {
            tenant: String::new(),
            id: id.to_owned(),
            history_length: Some(self.history.unwrap_or(0)),
        };
        self.agent.client.task(request).await
    }

    /// The stream of a send; `None` where the agent has none.
    async fn open(&self, request: &SendMessageRequest) -> Result<Option<EventStream>, Failure> {
        let capabilities = self.agent.card.capabilities.as_ref();
        if !capabilities.is_some_and(|can| can.streaming()) {
            return Ok(None);
        }
        let mut request = request.clone();
        if let Some(configuration) = &mut request.configuration {
            configuration.return_immediately = false;
        }
        let uploads = self.uploads.clone();
        match self.agent.client.send_streaming_with(request, uploads).await {
            Ok(events) => Ok(Some(events)),
            Err(Error::NotSupported(_)) => Ok(None),
            // It has not taken the message, so that it may be sent in the other way.
            Err(error) if has_no_streams(&error) => Ok(None),
            Err(error) if is_broken(&error) => Ok(Some(broken(error))),
            Err(error) => Err(error.into()),
        }
    }

    /// For agents without streams. A new task is accepted first, so that its id is known; a task that goes on has a state
    /// that says nothing of the new message, so its answer is waited for.
    async fn send_and_ask(&mut self, mut request: SendMessageRequest) -> Result<Ending, Failure> {
        let is_new = continued(&request).is_none();
        if let Some(configuration) = &mut request.configuration {
            configuration.return_immediately = is_new;
        }
        let response = self.agent.client.send_with(request, self.uploads.clone()).await?;
        match response.payload.map(Ending::from) {
            Some(Ending::Task(task)) => {
                self.know(&task);
                match is_settled(state_of(&task)) {
                    true => Ok(Ending::Task(task)),
                    false => Ok(Ending::Task(Box::new(self.ask(&task.id).await?))),
                }
            }
            Some(message) => Ok(message),
            None => Err(empty()),
        }
    }

    /// Follows a stream, and asks for the task when it is over: the one that the events are of, or else the one that goes on.
    async fn settle(&mut self, mut events: EventStream, continued: Option<&str>) -> Result<Ending, Failure> {
        let stop = self.follow(&mut events, continued.is_some()).await?;
        drop(events);
        let is_begun = !self.shown.task_id.is_empty();
        let id = match is_begun {
            true => self.shown.task_id.clone(),
            false => continued.unwrap_or_default().to_owned(),
        };
        match stop {
            Stop::Message(message) => Ok(Ending::Message(message)),
            // The agent's answer to the message itself.
            Stop::Ended(Some(error)) if !is_begun && !is_broken(&error) => Err(error.into()),
            Stop::Ended(Some(error)) if id.is_empty() => Err(error.into()),
            Stop::Ended(None) if id.is_empty() => Err(empty()),
            Stop::Settled if self.prints => {
                told::outcome_of(self.session, &id, self.shown.state);
                Ok(Ending::Task(Box::default()))
            }
            Stop::Settled => Ok(Ending::Task(Box::new(self.ask(&id).await?))),
            Stop::Ended(error) => {
                if let Some(error) = error {
                    let text = format!("the stream broke ({error}); the task is asked for instead");
                    self.session.out.warning(&text);
                }
                let task = self.ask(&id).await?;
                if self.prints {
                    self.last(Ending::Task(Box::new(task)))?;
                    return Ok(Ending::Task(Box::default()));
                }
                Ok(Ending::Task(Box::new(task)))
            }
        }
    }

    /// Takes events until one settles the matter.
    async fn follow(&mut self, events: &mut EventStream, continues: bool) -> Result<Stop, Failure> {
        let mut is_first = true;
        // A task that goes on may be shown as it was before the message; if nothing comes then, it is asked for.
        let mut may_be_old = false;
        loop {
            let interval = self.session.options.times.poll_interval;
            let next = match may_be_old {
                true => match tokio::time::timeout(interval, events.message()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Stop::Ended(None)),
                },
                false => events.message().await,
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(Stop::Ended(None)),
                Err(error) => return Ok(Stop::Ended(Some(error))),
            };
            // An event of a kind that came after this program is none that it could show.
            if event.payload.is_none() {
                continue;
            }
            if let Some(stream_response::Payload::Task(task)) = &event.payload {
                self.session.is_about(&task.id);
                if is_first && !self.prints && !is_settled(state_of(task)) {
                    self.waiting(task);
                }
            }
            if !self.shown.see(&event) {
                self.print(&event)?;
                return match event.payload {
                    Some(stream_response::Payload::Message(message)) => Ok(Stop::Message(Box::new(message))),
                    _ => Err(empty()),
                };
            }
            self.print(&event)?;
            let state = render::state_name(self.shown.state);
            self.session
                .out
                .progress
                .say(format!("task {} is {state}", self.shown.task_id));
            may_be_old = is_first && continues && a2ad::task::is_interrupted(self.shown.state());
            if is_settled(self.shown.state()) && !may_be_old {
                return Ok(Stop::Settled);
            }
            is_first = false;
        }
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

    /// Prints what there is in the end as the last event.
    fn last(&mut self, ending: Ending) -> Result<(), Failure> {
        let payload = match ending {
            Ending::Task(task) => stream_response::Payload::Task(*task),
            Ending::Message(message) => stream_response::Payload::Message(*message),
        };
        let event = StreamResponse {
            payload: Some(payload),
        };
        let is_task = self.shown.see(&event);
        self.print(&event)?;
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

/// The task that a message is for, if it begins none.
fn continued(request: &SendMessageRequest) -> Option<&str> {
    let id = request.message.as_ref().map(|message| &*message.task_id);
    id.filter(|id| !id.is_empty())
}

/// Whether an agent says that it has no streams, whatever its card says.
fn has_no_streams(error: &Error) -> bool {
    let kinds = [
        Kind::MethodNotFound,
        Kind::MethodNotAllowed,
        Kind::UnsupportedOperation,
    ];
    error.kind().is_some_and(|kind| kinds.contains(&kind))
}

/// Whether it is open what the agent has done: the way to it broke, and it did not refuse anything.
fn is_broken(error: &Error) -> bool {
    error.kind().is_none() && !error.is_unsent()
}

/// A stream that broke before its first event.
fn broken(error: Error) -> EventStream {
    EventStream::new(futures_util::stream::once(std::future::ready(Err(error))))
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

//! Following a task to where it has settled: ended, or needs its caller. By its stream as long as there is one, and by
//! looking at it where there is none.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::wait::{Wait, WaitError, WaitMode};
use crate::client::upload::Uploads;
use crate::client::{Client, Error, EventStream};
use crate::error::Kind;
use crate::pb::{
    GetTaskRequest, Message, SendMessageConfiguration, SendMessageRequest, StreamResponse,
    SubscribeToTaskRequest, Task, TaskState, send_message_response, stream_response,
};
use crate::task::{is_interrupted, is_settled};

/// What is followed.
#[derive(Clone, Debug)]
pub enum Following {
    /// The task that a message begins or continues, in the way that [`Wait::mode`] says, with what is read while it is
    /// sent.
    Sending(Box<SendMessageRequest>, Uploads),
    /// A task by its stream: from the task as it is, or behind a generation.
    Subscribing(SubscribeToTaskRequest, Option<u64>),
    /// A task by looking at it.
    Looking(GetTaskRequest),
}

/// What is told to who watches.
#[derive(Debug)]
pub enum Told {
    /// An event of the stream; it has a payload.
    Event(StreamResponse),
    /// The task as the agent answered with it, or as it was when it was looked at.
    Task(Task),
    /// The message that the agent answered with.
    Message(Message),
    /// The agent has no streams; it is asked instead.
    NoStreams,
    /// The stream broke, or was not one; the task is looked at instead.
    Broken(Error),
}

/// Watches a task while it is followed.
pub trait Watch {
    /// With what following may end: an error of one's own, or that of the library.
    type Error: From<WaitError>;

    /// Takes what is told.
    ///
    /// # Errors
    /// Ends following.
    fn see(&mut self, told: Told) -> Result<(), Self::Error>;

    /// Whether the task is looked at when its stream says that it has settled.
    fn wants_task(&self) -> bool;
}

/// What following came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// A task that has settled.
    Task,
    /// A message, and no task.
    Message,
}

impl Client {
    /// Follows a task until it has settled, and tells `watch` what becomes of it on the way.
    ///
    /// # Errors
    /// Those of `watch`, which are made of a [`WaitError`] where following itself came to nothing.
    pub async fn follow<W: Watch>(
        &self,
        following: Following,
        wait: &Wait,
        watch: &mut W,
    ) -> Result<Followed, W::Error> {
        let mut follower = Follower::new(self, &following, wait, watch);
        let work = follower.run(following);
        let followed = match Instant::now().checked_add(wait.timeout) {
            Some(deadline) => timeout_at(deadline, work)
                .await
                .unwrap_or(Err(Stop::Call(Error::Timeout(wait.timeout)))),
            None => work.await,
        };
        followed.map_err(|stop| match stop {
            Stop::Watch(error) => error,
            Stop::Call(error) => {
                let task_id = Some(follower.ask.id).filter(|id| !id.is_empty());
                WaitError { error, task_id }.into()
            }
        })
    }
}

/// Why following ends early.
enum Stop<E> {
    Call(Error),
    Watch(E),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// What an event means for who follows the task.
enum Step {
    /// It goes on.
    On,
    /// It waits for its caller, or has ended.
    Settled { is_waiting: bool },
    /// There is no task.
    Message,
}

/// How a stream ended.
enum End {
    Settled,
    Message,
    /// Before the task had settled.
    Early(Option<Error>),
}

struct Follower<'f, W> {
    client: &'f Client,
    wait: &'f Wait,
    watch: &'f mut W,
    /// The question for the task, with its id as soon as it is known.
    ask: GetTaskRequest,
    /// The message is for a task that is there already: the first thing that is seen behind it may be the state in which it
    /// found the task.
    continues: bool,
    /// Something has been said of the task, so that it is the one that is meant.
    has_begun: bool,
}

impl<'f, W: Watch> Follower<'f, W> {
    fn new(client: &'f Client, following: &Following, wait: &'f Wait, watch: &'f mut W) -> Self {
        let (mut ask, continues, has_begun) = match following {
            Following::Sending(request, _) => {
                let ask = asking(request);
                let continues = !ask.id.is_empty();
                (ask, continues, false)
            }
            Following::Subscribing(request, _) => {
                let ask = GetTaskRequest {
                    tenant: request.tenant.clone(),
                    id: request.id.clone(),
                    ..GetTaskRequest::default()
                };
                (ask, false, true)
            }
            Following::Looking(request) => (request.clone(), false, true),
        };
        ask.history_length = wait.history_length.or(ask.history_length);
        Self {
            client,
            wait,
            watch,
            ask,
            continues,
            has_begun,
        }
    }

    fn tell(&mut self, told: Told) -> Result<(), Stop<W::Error>> {
        self.watch.see(told).map_err(Stop::Watch)
    }

    async fn run(&mut self, following: Following) -> Result<Followed, Stop<W::Error>> {
        match (following, self.wait.mode) {
            (Following::Looking(_), _) => self.look(true).await,
            (Following::Subscribing(request, after), _) => {
                let opened = self.client.subscribe(request, after).await;
                match opened {
                    Ok(events) => self.read(events).await,
                    // The way broke, and the agent has refused nothing.
                    Err(error) if error.kind().is_none() && !error.is_unsent() => {
                        self.early(Some(error)).await
                    }
                    Err(error) => Err(error.into()),
                }
            }
            (Following::Sending(request, uploads), WaitMode::Blocking) => {
                self.send(*request, uploads, false).await
            }
            (Following::Sending(request, uploads), WaitMode::Polling) => {
                self.send(*request, uploads, true).await
            }
            (Following::Sending(request, uploads), WaitMode::Streaming) => {
                let streaming = (*request).clone();
                match self.client.send_streaming_with(streaming, uploads.clone()).await {
                    Ok(events) => self.read(events).await,
                    // The message was not taken, so it may be sent in another way. Of a task that goes on the answer is
                    // waited for, as its state says nothing of the message before.
                    Err(error) if can_not_stream(&error) => {
                        self.tell(Told::NoStreams)?;
                        self.send(*request, uploads, !self.continues).await
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    async fn send(
        &mut self,
        mut request: SendMessageRequest,
        uploads: Uploads,
        at_once: bool,
    ) -> Result<Followed, Stop<W::Error>> {
        let configuration = request
            .configuration
            .get_or_insert_with(SendMessageConfiguration::default);
        configuration.return_immediately = at_once;
        match self.client.send_with(request, uploads).await?.payload {
            Some(send_message_response::Payload::Message(message)) => {
                self.tell(Told::Message(message))?;
                Ok(Followed::Message)
            }
            Some(send_message_response::Payload::Task(task)) => {
                self.ask.id.clone_from(&task.id);
                let state = state_of(&task);
                let is_stale = self.continues && at_once && is_interrupted(state);
                self.tell(Told::Task(task))?;
                match is_settled(state) && !is_stale {
                    true => Ok(Followed::Task),
                    false => self.look(false).await,
                }
            }
            None => Err(
                Error::Malformed("the agent's answer holds neither a task nor a message".to_owned()).into(),
            ),
        }
    }

    /// Follows a stream, and looks at the task if it ends before that has settled.
    async fn read(&mut self, mut events: EventStream) -> Result<Followed, Stop<W::Error>> {
        let end = self.events(&mut events).await?;
        drop(events);
        match end {
            End::Message => Ok(Followed::Message),
            End::Settled if self.watch.wants_task() => self.look(true).await,
            End::Settled => Ok(Followed::Task),
            End::Early(error) => self.early(error).await,
        }
    }

    async fn events(&mut self, events: &mut EventStream) -> Result<End, Stop<W::Error>> {
        let mut is_first = true;
        let mut is_stale = false;
        loop {
            // If nothing follows what may be old, the task is looked at.
            let patience = if is_stale {
                self.wait.interval_max
            } else {
                Duration::MAX
            };
            let event = match timeout(patience, events.message()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Err(error)) => return Ok(End::Early(Some(error))),
                Ok(Ok(None)) | Err(_) => return Ok(End::Early(None)),
            };
            let step = match self.step(&event) {
                Ok(step) => step,
                Err(error) => return Ok(End::Early(Some(error))),
            };
            self.tell(Told::Event(event))?;
            is_stale = false;
            match step {
                Step::Message => return Ok(End::Message),
                Step::Settled { is_waiting } if is_first && self.continues && is_waiting => is_stale = true,
                Step::Settled { .. } => return Ok(End::Settled),
                Step::On => {}
            }
            is_first = false;
        }
    }

    /// What an event says of the task.
    fn step(&mut self, event: &StreamResponse) -> Result<Step, Error> {
        let (id, status) = match &event.payload {
            Some(stream_response::Payload::Task(task)) => (&task.id, task.status.as_ref()),
            Some(stream_response::Payload::StatusUpdate(update)) => (&update.task_id, update.status.as_ref()),
            Some(stream_response::Payload::ArtifactUpdate(update)) => (&update.task_id, None),
            Some(stream_response::Payload::Message(_)) => return Ok(Step::Message),
            None => return Ok(Step::On),
        };
        if self.has_begun && !id.is_empty() && *id != self.ask.id {
            return Err(Error::Malformed(
                "an event of another task came by a stream".to_owned(),
            ));
        }
        if !id.is_empty() {
            self.ask.id.clone_from(id);
        }
        self.has_begun = true;
        let state = status.map(|status| status.state()).unwrap_or_default();
        Ok(match is_settled(state) {
            true => Step::Settled {
                is_waiting: is_interrupted(state),
            },
            false => Step::On,
        })
    }

    /// Whatever became of the stream, the task goes on, if the message has come to it at all: one that waits for it still
    /// looks as it did before.
    async fn early(&mut self, error: Option<Error>) -> Result<Followed, Stop<W::Error>> {
        if !self.has_begun || self.ask.id.is_empty() {
            let error =
                error.unwrap_or_else(|| Error::Malformed("the stream ended without a task".to_owned()));
            return Err(error.into());
        }
        if let Some(error) = error {
            self.tell(Told::Broken(error))?;
        }
        self.look(true).await
    }

    /// Looks at the task until it has settled: at once, or after a pause.
    async fn look(&mut self, at_once: bool) -> Result<Followed, Stop<W::Error>> {
        let Wait {
            interval,
            interval_max,
            failures_max,
            ..
        } = *self.wait;
        let (mut pause, mut failures, mut waits) = (interval, 0, !at_once);
        loop {
            if std::mem::replace(&mut waits, true) {
                // No pause at all would be a loop.
                sleep(pause.max(Duration::from_millis(1))).await;
                pause = pause.saturating_mul(3).div_f64(2.0).min(interval_max);
            }
            match self.client.task(self.ask.clone()).await {
                Ok(task) => {
                    failures = 0;
                    let state = state_of(&task);
                    self.tell(Told::Task(task))?;
                    if is_settled(state) {
                        return Ok(Followed::Task);
                    }
                }
                Err(error) => {
                    failures += 1;
                    let may_pass = error.is_transient() || matches!(error, Error::HeldBack(_));
                    if !may_pass || failures >= failures_max {
                        return Err(error.into());
                    }
                }
            }
        }
    }
}

/// UNSPECIFIED is neither an end nor a question: what an agent has not said may still come.
fn state_of(task: &Task) -> TaskState {
    let status = task.status.as_ref();
    status.map(|status| status.state()).unwrap_or_default()
}

fn can_not_stream(error: &Error) -> bool {
    matches!(error, Error::NotSupported(_))
        || matches!(
            error.kind(),
            Some(Kind::UnsupportedOperation | Kind::MethodNotFound | Kind::MethodNotAllowed)
        )
}

/// The question for the task of a send: the one that it continues, as far as is known.
fn asking(request: &SendMessageRequest) -> GetTaskRequest {
    let configuration = request.configuration.as_ref();
    GetTaskRequest {
        tenant: request.tenant.clone(),
        id: request
            .message
            .as_ref()
            .map(|message| message.task_id.clone())
            .unwrap_or_default(),
        history_length: configuration.and_then(|configuration| configuration.history_length),
    }
}

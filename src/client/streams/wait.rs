//! Waiting until a task has ended or needs its caller, in whatever way the agent offers.

use std::time::Duration;

use super::Accumulator;
use super::follow::{Followed, Following, Told, Watch};
use crate::client::upload::Uploads;
use crate::client::{Client, Error};
use crate::pb::{GetTaskRequest, Message, SendMessageRequest, StreamResponse, Task, stream_response};

/// How to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitMode {
    /// The agent answers when the task has settled.
    #[default]
    Blocking,
    /// The agent answers at once, and is asked from time to time.
    Polling,
    /// The agent streams what happens; it is asked from time to time if it can't, or the stream breaks for good.
    Streaming,
}

/// How to wait, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How.
    pub mode: WaitMode,
    /// How long in all.
    pub timeout: Duration,
    /// The pause before the agent is asked for the first time; it grows by half with each time.
    pub interval: Duration,
    /// The longest pause.
    pub interval_max: Duration,
    /// Failed questions in a row, each with the repetitions of the layers, after which waiting ends.
    pub failures_max: u32,
    /// Bytes that the events of a stream may add up to; of a task with more, what is got by looking at it is taken.
    pub bytes_max: usize,
    /// How many messages a task comes with when it is looked at; `None` for as many as the request says.
    pub history_length: Option<i32>,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            mode: WaitMode::default(),
            timeout: Duration::from_secs(300),
            interval: Duration::from_millis(500),
            interval_max: Duration::from_secs(10),
            failures_max: 5,
            bytes_max: 64 << 20,
            history_length: None,
        }
    }
}

/// What a send came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Waited {
    /// A task that has ended, or waits for its caller (INPUT_REQUIRED, AUTH_REQUIRED).
    Task(Task),
    /// A message, and no task.
    Message(Message),
}

/// Why waiting came to nothing. The task goes on; with its id it can be waited for again.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", .task_id.as_ref().map(|id| format!(" (the task is {id})")).unwrap_or_default())]
pub struct WaitError {
    /// What went wrong; [`Error::Timeout`] when the time was over.
    #[source]
    pub error: Error,
    /// The task, if it is known.
    pub task_id: Option<String>,
}

impl Client {
    /// Sends a message and waits until its task has settled: ended, or needs its caller.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn send_and_wait(&self, request: SendMessageRequest, wait: &Wait) -> Result<Waited, WaitError> {
        let mut sum = Sum::new(wait.bytes_max);
        let following = Following::Sending(Box::new(request), Uploads::default());
        Ok(match self.follow(following, wait, &mut sum).await? {
            Followed::Task => Waited::Task(sum.task().ok_or_else(nothing)?),
            Followed::Message => Waited::Message(sum.message.ok_or_else(nothing)?),
        })
    }

    /// Waits until a task has settled, by looking at it.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait(&self, request: GetTaskRequest, wait: &Wait) -> Result<Task, WaitError> {
        let mut sum = Sum::new(wait.bytes_max);
        self.follow(Following::Looking(request), wait, &mut sum).await?;
        sum.task().ok_or_else(nothing)
    }
}

/// What comes of a task, added up.
struct Sum {
    /// The events of its stream; `None` once they don't add up.
    events: Option<Accumulator>,
    /// The task as it was seen last, if nothing has happened since.
    task: Option<Task>,
    message: Option<Message>,
}

impl Sum {
    fn new(bytes_max: usize) -> Self {
        Self {
            events: Some(Accumulator::new(bytes_max)),
            task: None,
            message: None,
        }
    }

    fn task(self) -> Option<Task> {
        self.task.or_else(|| self.events?.into_task())
    }
}

impl Watch for Sum {
    type Error = WaitError;

    fn see(&mut self, told: Told) -> Result<(), WaitError> {
        match told {
            Told::Event(StreamResponse {
                payload: Some(stream_response::Payload::Message(message)),
            })
            | Told::Message(message) => self.message = Some(message),
            Told::Event(event) => {
                self.task = None;
                self.events = self
                    .events
                    .take()
                    .and_then(|mut all| all.add(event).ok().map(|()| all));
            }
            Told::Task(task) => self.task = Some(task),
            Told::NoStreams | Told::Broken(_) => {}
        }
        Ok(())
    }

    fn wants_task(&self) -> bool {
        self.events.is_none()
    }
}

fn nothing() -> WaitError {
    WaitError {
        error: Error::Malformed("the agent's answer holds neither a task nor a message".to_owned()),
        task_id: None,
    }
}

//! Waiting until a task has ended or needs its caller, in whatever way the agent offers.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Accumulator;
use crate::client::{Client, Error, EventStream};
use crate::error::Kind;
use crate::pb::send_message_response::Payload;
use crate::pb::{GetTaskRequest, Message, SendMessageConfiguration, SendMessageRequest, Task};
use crate::task::{is_interrupted, is_settled};

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
    /// Bytes that the events of a stream may add up to.
    pub bytes_max: usize,
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
        let mut task_id = request.message.as_ref().map(|message| message.task_id.clone());
        within(wait, &mut task_id, async |task_id| match wait.mode {
            WaitMode::Blocking => self.send_until(request, false, wait, task_id).await,
            WaitMode::Polling => self.send_until(request, true, wait, task_id).await,
            WaitMode::Streaming => self.stream_until(request, wait, task_id).await,
        })
        .await
    }

    /// Waits until a task has settled, by looking at it.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait(&self, request: GetTaskRequest, wait: &Wait) -> Result<Task, WaitError> {
        let mut task_id = Some(request.id.clone());
        within(wait, &mut task_id, async |_| {
            match self.task(request.clone()).await {
                Ok(task) if has_settled(&task) => return Ok(task),
                Err(error) if !error.is_transient() => return Err(error),
                _ => {}
            }
            self.poll(request, wait).await
        })
        .await
    }

    async fn send_until(
        &self,
        mut request: SendMessageRequest,
        at_once: bool,
        wait: &Wait,
        task_id: &mut Option<String>,
    ) -> Result<Waited, Error> {
        let (ask, continues) = (asking(&request), continues(&request));
        let configuration = request
            .configuration
            .get_or_insert_with(SendMessageConfiguration::default);
        configuration.return_immediately = at_once;
        match self.send(request).await?.payload {
            Some(Payload::Message(message)) => Ok(Waited::Message(message)),
            Some(Payload::Task(task)) => {
                *task_id = Some(task.id.clone());
                let is_stale = continues && at_once && is_waiting(&task);
                if has_settled(&task) && !is_stale {
                    return Ok(Waited::Task(task));
                }
                let ask = GetTaskRequest { id: task.id, ..ask };
                self.poll(ask, wait).await.map(Waited::Task)
            }
            None => Err(Error::Malformed(
                "it holds neither a task nor a message".to_owned(),
            )),
        }
    }

    async fn stream_until(
        &self,
        request: SendMessageRequest,
        wait: &Wait,
        task_id: &mut Option<String>,
    ) -> Result<Waited, Error> {
        let ask = asking(&request);
        let events = match self.send_streaming(request.clone()).await {
            Ok(events) => events,
            // The message was not taken, so it may be sent in another way.
            Err(error) if can_not_stream(&error) => {
                return self.send_until(request, true, wait, task_id).await;
            }
            Err(error) => return Err(error),
        };
        let mut has_begun = false;
        let limits = (continues(&request), wait.bytes_max);
        let added_up = added_up(events, limits, task_id, &mut has_begun).await;
        let error = match added_up {
            Ok(Some(waited)) => return Ok(waited),
            Ok(None) => Error::Malformed("the stream ended without a task".to_owned()),
            Err(error) => error,
        };
        // Whatever became of the stream, the task goes on, if the message has come to it at all: one that waits for it still
        // looks as it did before.
        match task_id.clone().filter(|id| has_begun && !id.is_empty()) {
            Some(id) => {
                let ask = GetTaskRequest { id, ..ask };
                self.poll(ask, wait).await.map(Waited::Task)
            }
            None => Err(error),
        }
    }

    /// Looks at the task until it has settled.
    async fn poll(&self, request: GetTaskRequest, wait: &Wait) -> Result<Task, Error> {
        let (mut pause, mut failures) = (wait.interval, 0);
        loop {
            // No pause at all would be a loop.
            sleep(pause.max(Duration::from_millis(1))).await;
            pause = pause.saturating_mul(3).div_f64(2.0).min(wait.interval_max);
            match self.task(request.clone()).await {
                Ok(task) if has_settled(&task) => return Ok(task),
                Ok(_) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let may_pass = error.is_transient() || matches!(error, Error::HeldBack(_));
                    if !may_pass || failures >= wait.failures_max {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// What a stream adds up to, if it comes to an end of the task, and whether anything came at all.
async fn added_up(
    mut events: EventStream,
    (continues, bytes_max): (bool, usize),
    task_id: &mut Option<String>,
    has_begun: &mut bool,
) -> Result<Option<Waited>, Error> {
    let mut all = Accumulator::new(bytes_max);
    let mut may_be_stale = continues;
    while let Some(event) = events.message().await? {
        *has_begun = true;
        all.add(event)?;
        if let Some(task) = all.task() {
            *task_id = Some(task.id.clone());
            let is_stale = std::mem::take(&mut may_be_stale) && is_waiting(task);
            if has_settled(task) && !is_stale {
                break;
            }
        }
    }
    Ok(match all.task().is_some_and(has_settled) {
        true => all.into_task().map(Waited::Task),
        false => all.into_message().map(Waited::Message),
    })
}

/// Does the work in the time that there is.
async fn within<T>(
    wait: &Wait,
    task_id: &mut Option<String>,
    work: impl AsyncFnOnce(&mut Option<String>) -> Result<T, Error>,
) -> Result<T, WaitError> {
    let done = match Instant::now().checked_add(wait.timeout) {
        Some(deadline) => timeout_at(deadline, work(task_id))
            .await
            .unwrap_or(Err(Error::Timeout(wait.timeout))),
        None => work(task_id).await,
    };
    done.map_err(|error| WaitError {
        error,
        task_id: task_id.take().filter(|id| !id.is_empty()),
    })
}

/// UNSPECIFIED is neither an end nor a question: what an agent has not said may still come.
fn has_settled(task: &Task) -> bool {
    task.status
        .as_ref()
        .is_some_and(|status| is_settled(status.state()))
}

/// Whether the task waits for its caller. Right behind a message that continues it, that may be the state in which the
/// message found it.
fn is_waiting(task: &Task) -> bool {
    task.status
        .as_ref()
        .is_some_and(|status| is_interrupted(status.state()))
}

/// Whether the message is for a task that is there already.
fn continues(request: &SendMessageRequest) -> bool {
    let message = request.message.as_ref();
    message.is_some_and(|message| !message.task_id.is_empty())
}

fn can_not_stream(error: &Error) -> bool {
    matches!(error, Error::NotSupported(_))
        || matches!(
            error.kind(),
            Some(Kind::UnsupportedOperation | Kind::MethodNotFound)
        )
}

/// The question for the task of a send, but for its id.
fn asking(request: &SendMessageRequest) -> GetTaskRequest {
    let configuration = request.configuration.as_ref();
    GetTaskRequest {
        tenant: request.tenant.clone(),
        history_length: configuration.and_then(|configuration| configuration.history_length),
        ..GetTaskRequest::default()
    }
}

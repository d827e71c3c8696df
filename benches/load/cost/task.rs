//! A task whose agent writes one event for each that is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use a2ad::agent::{Agent, AgentError, AgentExecutor, AgentOptions, RequestContext, TaskUpdater};
use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::context::{CallContext, Principal, Scope};
use a2ad::execution::{EventStream, ExecutionSettings, Executions, Incoming, NewTask, Permits};
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{AgentCard, Artifact, Part, part::Content};
use a2ad::repository::conformance::message;
use a2ad::repository::{StoredTask, TaskRepository};
use a2ad::shutdown::Shutdown;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::prose::Prose;
use crate::Outcome;

/// The text of every event.
const TEXT_BYTES: usize = 200;

/// What the agent writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Statuses with a message, each of which puts the one before it into the history.
    Messages,
    /// Pieces of one artifact.
    Chunks,
}

struct Writing {
    events: Events,
    asked: Semaphore,
    is_over: AtomicBool,
}

#[async_trait::async_trait]
impl AgentExecutor for Writing {
    async fn execute(&self, _request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        let mut prose = Prose::default();
        let mut append = false;
        loop {
            self.asked.acquire().await.expect("never closed").forget();
            if self.is_over.load(Ordering::Acquire) {
                break;
            }
            let text = prose.next(TEXT_BYTES);
            match self.events {
                Events::Messages => updater.progress(&text).await?,
                Events::Chunks => updater.chunk(chunk(&text), append, false).await?,
            }
            append = true;
        }
        updater.complete().await?;
        Ok(())
    }
}

fn chunk(text: &str) -> Artifact {
    Artifact {
        artifact_id: "chunks".to_owned(),
        parts: vec![Part {
            content: Some(Content::Text(text.to_owned())),
            ..Part::default()
        }],
        ..Artifact::default()
    }
}

/// An engine over a repository, at its defaults.
pub fn engine(repository: &Arc<dyn TaskRepository>) -> Executions {
    Executions::new(
        repository.clone(),
        Arc::new(LocalBus::new()),
        Clock::system(),
        Shutdown::new(),
        ExecutionSettings::default(),
        Audit::off(),
    )
}

/// A task that runs, and the stream of its events.
pub struct RunningTask {
    pub id: String,
    writing: Arc<Writing>,
    events: EventStream,
}

impl RunningTask {
    pub async fn start(engine: &Executions, events: Events) -> Outcome<Self> {
        let writing = Arc::new(Writing {
            events,
            asked: Semaphore::new(0),
            is_over: AtomicBool::new(false),
        });
        let card = AgentCard::default();
        let agent = Agent::new("writing", card, writing.clone(), AgentOptions::default())?;
        let new = NewTask {
            agent: Arc::new(agent),
            scope: scope(),
            context_id: None,
            incoming: incoming("begin"),
        };
        let mut events = match engine.start_streaming(new).await {
            Ok(events) => events,
            Err(refusal) => return Err(format!("no task: {refusal:?}").into()),
        };
        let first = events.next().await.ok_or("a stream without a task")??;
        let Payload::Task(task) = first.decode()? else {
            return Err("a stream that does not begin with its task".into());
        };
        Ok(Self {
            id: task.id,
            writing,
            events,
        })
    }

    /// Lets the agent write so many events, and waits until the last one is committed and has come by the stream.
    pub async fn append(&mut self, count: usize) -> Outcome {
        self.writing.asked.add_permits(count);
        for _ in 0..count {
            self.events.next().await.ok_or("a stream that ended early")??;
        }
        Ok(())
    }

    /// Lets the task end.
    pub async fn complete(mut self) -> Outcome {
        self.writing.is_over.store(true, Ordering::Release);
        self.append(1).await
    }
}

pub fn scope() -> Scope {
    Scope {
        agent: Arc::from("writing"),
        owner: Principal::verified("bench"),
    }
}

pub async fn stored(repository: &Arc<dyn TaskRepository>, id: &str) -> Outcome<StoredTask> {
    let stored = repository.get(&scope(), id).await?;
    Ok(stored.ok_or("a task that is not stored")?)
}

/// A message of the caller's.
pub fn incoming(text: &str) -> Incoming {
    Incoming {
        message: message(text),
        configuration: None,
        metadata: None,
        call: CallContext::detached(Principal::verified("bench"), Arc::from("bench")),
        key: None,
        push_configs: Vec::new(),
        permits: Permits::default(),
    }
}

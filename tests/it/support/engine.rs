//! An engine on a test bed, and agents made of closures.

use std::sync::Arc;
use std::time::Duration;

use a2ad::agent::{
    Agent, AgentError, AgentExecutor, AgentOptions, Agents, CancelOutcome, Recovery, RequestContext,
    TaskUpdater,
};
use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::context::{CallContext, Principal, Scope};
use a2ad::error::Error;
use a2ad::execution::{
    Answer, EventStream, ExecutionSettings, Executions, Incoming, NewTask, Permits, Sweeper, Swept, Wait,
};
use a2ad::pb::{AgentCard, Message, Task, TaskState};
use a2ad::repository::conformance::{NOW_MS, message, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::{StoredTask, TaskRepository};
use a2ad::shutdown::Shutdown;
use a2ad::task::{TaskEvent, is_terminal, replay};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::backend::{Kept, still};
use super::observed::Observed;

/// The longest that anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(40);

type Execute =
    Box<dyn Fn(RequestContext, TaskUpdater) -> BoxFuture<'static, Result<(), AgentError>> + Send + Sync>;
type Cancel = Box<dyn Fn() -> BoxFuture<'static, CancelOutcome> + Send + Sync>;

/// An agent made of closures.
pub struct Scripted {
    execute: Execute,
    cancel: Cancel,
    recovery: Recovery,
    may_reply: bool,
    is_blocking: bool,
}

impl Scripted {
    pub fn new<F, R>(execute: F) -> Self
    where
        F: Fn(RequestContext, TaskUpdater) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), AgentError>> + Send + 'static,
    {
        Self {
            execute: Box::new(move |request, updater| Box::pin(execute(request, updater))),
            cancel: Box::new(|| Box::pin(async { CancelOutcome::Canceled(None) })),
            recovery: Recovery::Fail,
            may_reply: false,
            is_blocking: false,
        }
    }

    pub fn on_cancel<F, R>(mut self, cancel: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = CancelOutcome> + Send + 'static,
    {
        self.cancel = Box::new(move || Box::pin(cancel()));
        self
    }

    pub fn restarting(mut self) -> Self {
        self.recovery = Recovery::Restart;
        self
    }

    pub fn replying(mut self) -> Self {
        self.may_reply = true;
        self
    }

    pub fn blocking(mut self) -> Self {
        self.is_blocking = true;
        self
    }

    pub fn agent(self) -> Arc<Agent> {
        self.with(AgentOptions::default())
    }

    pub fn with(self, options: AgentOptions) -> Arc<Agent> {
        Arc::new(Agent::new("echo", AgentCard::default(), Arc::new(self), options).unwrap())
    }
}

#[async_trait::async_trait]
impl AgentExecutor for Scripted {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        (self.execute)(request, updater).await
    }

    async fn cancel(&self, _request: &RequestContext) -> CancelOutcome {
        (self.cancel)().await
    }

    fn recovery(&self) -> Recovery {
        self.recovery
    }

    fn may_reply(&self) -> bool {
        self.may_reply
    }

    fn is_blocking(&self) -> bool {
        self.is_blocking
    }
}

/// Lets agents through one by one.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.add_permits(1);
    }

    pub async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// Completes at once with the text as an artifact.
pub fn echo() -> Arc<Agent> {
    let execute = |request: RequestContext, updater: TaskUpdater| async move {
        updater.artifact_text("echo", &request.text()).await?;
        updater.complete().await?;
        Ok(())
    };
    Scripted::new(execute).agent()
}

/// Completes behind a gate.
pub fn gated(gate: &Gate) -> Arc<Agent> {
    Scripted::new(completing_behind(gate)).agent()
}

pub fn completing_behind(
    gate: &Gate,
) -> impl Fn(RequestContext, TaskUpdater) -> BoxFuture<'static, Result<(), AgentError>> + Send + Sync + 'static
{
    let gate = gate.clone();
    move |_, updater| {
        let gate = gate.clone();
        Box::pin(async move {
            updater.working().await?;
            gate.pass().await;
            updater.complete().await?;
            Ok(())
        })
    }
}

/// An engine over a repository that the test can look into.
pub struct Bed {
    pub engine: Executions,
    pub repository: Arc<Observed>,
    pub shutdown: Shutdown,
    pub scope: Scope,
    /// The engine's clock, and in [`Bed::timed`] that of leases in memory too. It stands still.
    pub clock: Clock,
    kept: Kept,
}

/// The time after which a lease of [`Bed::timed`] is over that nobody renews.
pub const LEASE_MS: i64 = 60 * 60 * 1_000;

/// So much later it is still held, however slow the machine is.
pub const ALMOST_A_LEASE_MS: i64 = LEASE_MS - 10 * 60 * 1_000;

impl Bed {
    pub fn new() -> Self {
        Self::with(ExecutionSettings::default())
    }

    pub fn with(settings: ExecutionSettings) -> Self {
        Self::at(Kept::fresh(None), settings, still())
    }

    pub async fn sqlite() -> Self {
        Self::over(
            crate::repositories::fresh_sqlite().await,
            ExecutionSettings::default(),
        )
    }

    /// With leases that end when the test says so: see [`Bed::passes`].
    pub fn timed() -> Self {
        let clock = still();
        Self::at(Kept::fresh(Some(&clock)), timed(), clock)
    }

    /// In memory, with leases that are measured by tokio's timers.
    pub fn on_timers() -> Self {
        let clock = Clock::of_timers(NOW_MS);
        let repository = Observed::new(Arc::new(MemoryRepository::with_clock(clock.clone())));
        Self::at(Kept::hidden(repository), ExecutionSettings::default(), clock)
    }

    /// Another process on the same database.
    pub fn beside(&self) -> Self {
        self.beside_with(timed())
    }

    /// The same with other settings.
    pub fn beside_with(&self, settings: ExecutionSettings) -> Self {
        Self::at(self.kept.clone(), settings, self.clock.clone())
    }

    pub fn over(repository: Arc<Observed>, settings: ExecutionSettings) -> Self {
        Self::at(Kept::hidden(repository), settings, still())
    }

    fn at(kept: Kept, settings: ExecutionSettings, clock: Clock) -> Self {
        let (shutdown, repository) = (Shutdown::new(), kept.repository.clone());
        let engine = Executions::new(
            repository.clone(),
            Arc::new(LocalBus::new()),
            clock.clone(),
            shutdown.clone(),
            settings,
            Audit::off(),
        );
        Self {
            engine,
            repository,
            shutdown,
            scope: scope("ada"),
            clock,
            kept,
        }
    }

    /// So much time passes, for leases and for the engine.
    pub async fn passes(&self, ms: i64) {
        self.kept.passes(&self.clock, ms).await;
    }

    /// Changes rows behind everybody's back; false in memory, where there are none.
    pub async fn execute(&self, statement: &str) -> bool {
        self.kept.execute(statement).await
    }

    /// The process dies: nothing of it runs any more.
    pub async fn dies(&self) {
        self.shutdown.abort();
        eventually(async || self.shutdown.running() == 0).await;
    }

    /// One round over what others left, by a process that hosts the same agent.
    pub async fn sweep(&self, agent: &Arc<Agent>) -> Swept {
        let (card, executor) = (agent.card.clone(), agent.executor.clone());
        let hosted = Agent::new(&agent.name, card, executor, agent.options.clone()).unwrap();
        let agents = Agents::new(vec![hosted], None).unwrap();
        patiently(Sweeper::new(self.engine.clone(), agents).round())
            .await
            .unwrap()
    }

    pub fn new_task(&self, agent: &Arc<Agent>, text: &str) -> NewTask {
        NewTask {
            agent: agent.clone(),
            scope: self.scope.clone(),
            context_id: None,
            incoming: incoming(text),
        }
    }

    pub async fn start(&self, agent: &Arc<Agent>, text: &str, wait: Wait) -> Result<Answer, Error> {
        patiently(self.engine.start(self.new_task(agent, text), wait)).await
    }

    /// Starts a task that is accepted before it ends.
    pub async fn accepted(&self, agent: &Arc<Agent>) -> Task {
        task(self.start(agent, "go", Wait::Accepted).await)
    }

    pub async fn stream(&self, agent: &Arc<Agent>, text: &str) -> EventStream {
        let stream = patiently(self.engine.start_streaming(self.new_task(agent, text))).await;
        stream.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    pub async fn send(&self, agent: &Arc<Agent>, id: &str, text: &str, wait: Wait) -> Result<Answer, Error> {
        patiently(self.engine.send(agent, &self.scope, id, incoming(text), wait)).await
    }

    pub async fn settled(&self, agent: &Arc<Agent>, id: &str) -> Result<Answer, Error> {
        patiently(self.engine.settled(agent, &self.scope, id)).await
    }

    pub async fn cancel(&self, agent: &Arc<Agent>, id: &str) -> Result<Answer, Error> {
        patiently(self.engine.cancel(agent, &self.scope, id, &call())).await
    }

    pub async fn subscribe(
        &self,
        agent: &Arc<Agent>,
        id: &str,
        cursor: Option<u64>,
    ) -> Result<EventStream, Error> {
        patiently(self.engine.subscribe(agent, &self.scope, id, cursor)).await
    }

    pub async fn stored(&self, id: &str) -> StoredTask {
        self.repository
            .get(&self.scope, id)
            .await
            .unwrap()
            .expect("the task is stored")
    }

    pub async fn state(&self, id: &str) -> TaskState {
        state(&self.stored(id).await.task)
    }

    /// The log of a task, which must be sound: dense, foldable to the task, and with at most one end.
    pub async fn log(&self, id: &str) -> Vec<Arc<TaskEvent>> {
        let events = self
            .repository
            .events(&self.scope, id, 0, usize::MAX)
            .await
            .unwrap();
        assert_dense(&events, 1);
        let stored = self.stored(id).await;
        assert_eq!(stored.generation, events.len() as u64);
        assert_eq!(replay(None, 0, &events), Ok(Some(stored.task)));
        let ends = events
            .iter()
            .filter(|event| event.state.is_some_and(is_terminal))
            .count();
        assert!(ends <= 1, "{ends} terminal events");
        events
    }

    pub async fn states(&self, id: &str) -> Vec<TaskState> {
        self.log(id)
            .await
            .iter()
            .filter_map(|event| event.state)
            .collect()
    }

    /// Waits until the task is in a state.
    pub async fn reaches(&self, id: &str, wanted: TaskState) {
        eventually(async || self.state(id).await == wanted).await;
    }

    /// Waits until no task has a writer any more, whoever reads.
    pub async fn quiet_but_for_readers(&self) {
        eventually(async || self.engine.running() == 0).await;
    }

    /// Waits until no task has a writer any more.
    pub async fn quiet(&self) {
        eventually(async || self.engine.running() == 0 && self.shutdown.running() == 0).await;
    }
}

/// Settings of [`Bed::timed`].
pub fn timed() -> ExecutionSettings {
    ExecutionSettings {
        lease: Duration::from_millis(LEASE_MS.unsigned_abs()),
        ..ExecutionSettings::default()
    }
}

pub fn incoming(text: &str) -> Incoming {
    Incoming {
        message: message(text),
        configuration: None,
        metadata: None,
        call: call(),
        key: None,
        push_configs: Vec::new(),
        permits: Permits::default(),
    }
}

pub fn call() -> CallContext {
    CallContext::detached(Principal::verified("ada"), Arc::from("request"))
}

#[track_caller]
pub fn task(answer: Result<Answer, Error>) -> Task {
    match answer {
        Ok(Answer::Task(task, _)) => *task,
        other => panic!("no task: {other:?}"),
    }
}

pub fn state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default()
}

/// The texts of the history, in order.
pub fn said(history: &[Message]) -> Vec<String> {
    let text = |message: &Message| match message.parts.first().and_then(|part| part.content.clone()) {
        Some(a2ad::pb::part::Content::Text(text)) => text,
        other => panic!("no text: {other:?}"),
    };
    history.iter().map(text).collect()
}

#[track_caller]
pub fn assert_dense(events: &[Arc<TaskEvent>], first: u64) {
    let numbers: Vec<u64> = events.iter().map(|event| event.generation).collect();
    assert_eq!(numbers, (first..first + events.len() as u64).collect::<Vec<_>>());
}

pub async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("this takes too long")
}

/// All events of a stream that must end.
pub async fn all(stream: EventStream) -> Vec<Arc<TaskEvent>> {
    patiently(stream.map(|event| event.unwrap()).collect()).await
}

pub async fn next(stream: &mut EventStream) -> Arc<TaskEvent> {
    patiently(stream.next())
        .await
        .expect("the stream goes on")
        .unwrap()
}

/// Looks again and again until it is so.
pub async fn eventually(so: impl AsyncFn() -> bool) {
    let watch = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    patiently(watch).await;
}

//! A caller that repeats what was UNAVAILABLE and takes no other error.

use std::sync::Arc;
use std::time::Duration;

use a2ad::agent::{Agent, AgentOptions, Agents};
use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::context::CallContext;
use a2ad::error::{Error, Kind};
use a2ad::execution::{EventStream, ExecutionSettings, Executions, Sweeper};
use a2ad::pb::{SendMessageRequest, SubscribeToTaskRequest, Task};
use a2ad::push::Pushes;
use a2ad::repository::conformance::{NOW_MS, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::{ListQuery, TaskRepository as _};
use a2ad::service::{AgentService, ServiceSettings};
use a2ad::shutdown::Shutdown;
use a2ad::task::{TaskEvent, is_settled, is_terminal, replay};
use futures_util::StreamExt as _;

use crate::simulation::agent::agents;
use crate::simulation::book::messages;
use crate::support::engine::{assert_dense, call};
use crate::support::faulty::FaultyRepository;
use crate::support::messages::{Event, state, subscribe};

/// Short beside the scenarios, so that heartbeats meet faults too.
const LEASE: Duration = Duration::from_millis(90);

/// Between two looks for tasks that others left.
const SWEEP_PAUSE: Duration = Duration::from_millis(250);

/// How long a caller may take to answer.
pub const INTERRUPTED_TTL: Duration = Duration::from_secs(4);

pub struct Caller {
    memory: Arc<MemoryRepository>,
    repository: Arc<FaultyRepository>,
    pub service: AgentService,
    executions: Executions,
    agents: Agents,
    shutdown: Shutdown,
    /// The ids of acknowledged messages, each with its task.
    acknowledged: Vec<(String, String)>,
}

impl Caller {
    pub fn new(memory: Arc<MemoryRepository>, repository: Arc<FaultyRepository>) -> Self {
        let shutdown = Shutdown::new();
        let settings = ExecutionSettings {
            ring_events_max: 2,
            lease: LEASE,
            ..ExecutionSettings::default()
        };
        let clock = Clock::of_timers(NOW_MS);
        let bus = Arc::new(LocalBus::new());
        let executions = Executions::new(
            repository.clone(),
            bus,
            clock.clone(),
            shutdown.clone(),
            settings,
            Audit::off(),
        );
        let expiring = |agent: Agent| {
            let options = AgentOptions {
                interrupted_ttl: Some(INTERRUPTED_TTL),
                ..agent.options
            };
            Agent::new(&agent.name, agent.card, agent.executor, options).unwrap()
        };
        let agents = Agents::new(agents().into_iter().map(expiring).collect(), None).unwrap();
        let service = AgentService::new(
            agents.clone(),
            executions.clone(),
            repository.clone(),
            clock,
            shutdown.clone(),
            ServiceSettings::default(),
            Pushes::default(),
        );
        shutdown.spawn("leases", executions.clone().keep_leases());
        let sweeper = Sweeper::new(executions.clone(), agents.clone());
        shutdown.spawn("sweeper", sweeper.run(SWEEP_PAUSE));
        Self {
            memory,
            repository,
            service: service.unwrap(),
            executions,
            agents,
            shutdown,
            acknowledged: Vec::new(),
        }
    }

    /// Asks until there is an answer.
    pub async fn insist<T>(&self, ask: impl AsyncFn(&AgentService) -> Result<T, Error>) -> T {
        self.until(async |service| match ask(service).await {
            Err(error) if error.kind != Kind::Unavailable => {
                panic!("neither right nor UNAVAILABLE: {error:?}")
            }
            answer => answer.ok(),
        })
        .await
    }

    /// Asks until there is an error that is not UNAVAILABLE.
    pub async fn refused<T: std::fmt::Debug>(
        &self,
        ask: impl AsyncFn(&AgentService) -> Result<T, Error>,
    ) -> Kind {
        self.until(async |service| match ask(service).await {
            Err(error) if error.kind == Kind::Unavailable => None,
            Err(error) => Some(error.kind),
            Ok(answer) => panic!("this should be refused: {answer:?}"),
        })
        .await
    }

    async fn until<T>(&self, ask: impl AsyncFn(&AgentService) -> Option<T>) -> T {
        loop {
            // Callers don't wait for ever; what they left goes on.
            if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_secs(1), ask(&self.service)).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// A call with a key of the message.
    pub fn keyed(request: &SendMessageRequest) -> CallContext {
        let id = &request.message.as_ref().expect("a message").message_id;
        CallContext {
            idempotency_key: Some(Arc::from(format!("key-{id}"))),
            ..call()
        }
    }

    /// Sends under a key until the task is known.
    pub async fn send(&mut self, request: SendMessageRequest) -> Task {
        let call = Self::keyed(&request);
        let response = self
            .insist(async |service| service.send_message(&call, request.clone()).await)
            .await;
        let task = crate::support::messages::task(response);
        self.acknowledge(&request, &task);
        task
    }

    fn acknowledge(&mut self, request: &SendMessageRequest, task: &Task) {
        let id = request.message.as_ref().expect("a message").message_id.clone();
        assert!(
            task.history.iter().any(|message| message.message_id == id),
            "{id} was not heard"
        );
        self.acknowledged.push((id, task.id.clone()));
    }

    /// Sends under a key and reads all events, behind breaks as well, from the first one on.
    pub async fn stream(&mut self, request: SendMessageRequest) -> (Task, Vec<Arc<TaskEvent>>) {
        let call = Self::keyed(&request);
        let mut events = Vec::new();
        while events.is_empty() {
            let ask =
                async |service: &AgentService| service.send_streaming_message(&call, request.clone()).await;
            read(self.insist(ask).await, &mut events).await;
        }
        let Ok(Event::Task(task)) = events[0].decode() else {
            panic!("a stream begins with its task")
        };
        self.acknowledge(&request, &task);
        self.resume(&request.tenant, &task.id, &mut events).await;
        (task, events)
    }

    /// Reads on behind the last of `events` until the task has ended.
    pub async fn resume(&self, agent: &str, id: &str, events: &mut Vec<Arc<TaskEvent>>) {
        let request: SubscribeToTaskRequest = subscribe(agent, id);
        let ended = |events: &[Arc<TaskEvent>]| {
            let last = events.last().and_then(|event| event.state);
            last.is_some_and(is_terminal)
        };
        while !ended(events) {
            let call = CallContext {
                last_generation: events.last().map(|event| event.generation),
                ..call()
            };
            let ask = async |service: &AgentService| service.subscribe_to_task(&call, request.clone()).await;
            read(self.insist(ask).await, events).await;
        }
    }

    /// The log of a task as it is stored.
    pub async fn log(&self, agent: &str, id: &str) -> Vec<Arc<TaskEvent>> {
        let scope = a2ad::context::Scope {
            agent: Arc::from(agent),
            ..scope("ada")
        };
        self.memory.events(&scope, id, 0, usize::MAX).await.unwrap()
    }

    /// The process dies, and another one takes its tasks up.
    pub async fn restart(&mut self) {
        self.shutdown.abort();
        self.repository.crash();
        let next = Self::new(self.memory.clone(), self.repository.reconnect());
        let acknowledged = std::mem::take(&mut self.acknowledged);
        *self = Self { acknowledged, ..next };
    }

    /// Everything has ended, every log is sound, and what was acknowledged is there, once.
    pub async fn check(&self) {
        self.executions.idle().await;
        let mut heard = Vec::new();
        for agent in self.agents.iter() {
            let scope = a2ad::context::Scope {
                agent: agent.name.clone(),
                ..scope("ada")
            };
            let everything = ListQuery {
                limit: usize::MAX,
                ..ListQuery::default()
            };
            for stored in self.memory.list(&scope, &everything).await.unwrap().tasks {
                let log = self.log(&agent.name, &stored.task.id).await;
                assert_dense(&log, 1);
                assert_eq!(replay(None, 0, &log), Ok(Some(stored.task.clone())));
                let ends = log.iter().filter(|event| event.state.is_some_and(is_terminal));
                assert!(ends.count() <= 1);
                assert!(is_settled(state(&stored.task)), "{:?}", stored.task);
                heard.extend(
                    messages(&log)
                        .into_iter()
                        .map(|message| (message, stored.task.id.clone())),
                );
            }
        }
        for sent in &self.acknowledged {
            assert!(heard.contains(sent), "{sent:?} was acknowledged and is lost");
            let times = heard.iter().filter(|(message, _)| *message == sent.0).count();
            assert_eq!(times, 1, "{sent:?} took effect more than once");
        }
    }
}

/// Reads until the stream ends or breaks; a break must be UNAVAILABLE.
async fn read(mut stream: EventStream, events: &mut Vec<Arc<TaskEvent>>) {
    while let Ok(Some(item)) = tokio::time::timeout(Duration::from_secs(1), stream.next()).await {
        match item {
            Ok(event) => events.push(event),
            Err(error) => {
                assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
                return;
            }
        }
    }
}

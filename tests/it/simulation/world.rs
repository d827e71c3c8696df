//! The processes of a simulation and the one database that outlives them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use a2ad::access::Caller;
use a2ad::agent::Agents;
use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::context::{CallContext, Principal};
use a2ad::execution::{ExecutionSettings, Executions, Sweeper};
use a2ad::push::Pushes;
use a2ad::repository::conformance::NOW_MS;
use a2ad::repository::memory::MemoryRepository;
use a2ad::service::{AgentService, ServiceSettings};
use a2ad::shutdown::Shutdown;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::Mutant;
use super::agent;
use super::book::Book;
use super::trace::Trace;
use crate::support::engine::call;
use crate::support::faulty::{FaultyRepository, Plan, seeded};
use crate::support::random::Random;

/// Streams that one caller may hold open: few, so that the limit is met.
pub const STREAMS_MAX: usize = 5;

/// How long a process that says nothing keeps its tasks: some are taken over in its lifetime, some outlive it.
const LEASE: Duration = Duration::from_millis(600);

/// Between two looks for tasks that others left.
const SWEEP_PAUSE: Duration = Duration::from_millis(250);

/// One server process.
#[derive(Clone)]
pub struct Node {
    pub service: AgentService,
    pub executions: Executions,
    pub shutdown: Shutdown,
    repository: Arc<FaultyRepository>,
    /// The process is gone, and its connections with it.
    pub killed: CancellationToken,
    /// Nobody hears the process any more, and it prolongs no lease.
    cut_off: CancellationToken,
}

pub struct World {
    pub memory: Arc<MemoryRepository>,
    pub repository: Arc<FaultyRepository>,
    pub trace: Trace,
    pub book: RefCell<Book>,
    /// What a mutant adds to cursors on their way to the server.
    pub skew: i64,
    clock: Clock,
    node: RefCell<Option<Node>>,
    /// Processes that were cut off and don't know it.
    zombies: RefCell<Vec<Node>>,
    /// Two processes may have had the same tasks.
    pub was_cut_off: Cell<bool>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// At once.
    Killed,
    /// It runs on, and nobody comes any more; another one takes its tasks.
    CutOff,
    /// It is asked to end, gets a moment, and is killed.
    Drained,
}

impl World {
    pub fn new(random: &mut Random, mutant: Mutant) -> Rc<Self> {
        let clock = Clock::of_timers(NOW_MS);
        let memory = Arc::new(MemoryRepository::with_clock(clock.clone()));
        let trace = Trace::begin();
        let percent = *random.pick(&[0, 5, 15, 30]);
        let latency = Duration::from_millis(*random.pick(&[0, 3, 20, 120]));
        let plan = traced(seeded(random.fork(), percent, latency), trace.clone());
        let repository = FaultyRepository::altering(memory.clone(), plan, mutant.alter(memory.clone()));
        Rc::new(Self {
            memory,
            repository,
            trace,
            book: RefCell::default(),
            skew: mutant.skew(),
            clock,
            node: RefCell::new(None),
            zombies: RefCell::default(),
            was_cut_off: Cell::new(false),
        })
    }

    /// The process that callers reach now.
    pub fn node(&self) -> Option<Node> {
        self.node.borrow().clone()
    }

    /// Starts a process.
    pub fn boot(&self) {
        self.trace.note(format_args!("a process starts"));
        *self.node.borrow_mut() = Some(self.build());
    }

    fn build(&self) -> Node {
        let repository = self.repository.reconnect();
        let shutdown = Shutdown::new();
        let settings = ExecutionSettings {
            updates_queue_max: 4,
            inbox_messages_max: 2,
            ring_events_max: 4,
            snapshot_every_events: 4,
            cancel_timeout: Duration::from_millis(200),
            lease: LEASE,
            // What a thread takes is the machine's, and not the simulation's.
            poll_max: Duration::MAX,
            ..ExecutionSettings::default()
        };
        let executions = Executions::new(
            repository.clone(),
            Arc::new(LocalBus::new()),
            self.clock.clone(),
            shutdown.clone(),
            settings,
            Audit::off(),
        );
        let agents = Agents::new(agent::agents(), None).unwrap();
        let settings = ServiceSettings {
            streams_per_caller_max: STREAMS_MAX,
            page_token_key: Some([7; 32]),
            ..ServiceSettings::default()
        };
        let service = AgentService::new(
            agents.clone(),
            executions.clone(),
            repository.clone(),
            self.clock.clone(),
            shutdown.clone(),
            settings,
            Pushes::default(),
        );
        let cut_off = CancellationToken::new();
        let heartbeat = executions.clone().keep_leases();
        shutdown.spawn(
            "leases",
            cut_off.clone().run_until_cancelled_owned(heartbeat).map(drop),
        );
        let sweeper = Sweeper::new(executions.clone(), agents);
        shutdown.spawn(
            "sweeper",
            cut_off
                .clone()
                .run_until_cancelled_owned(sweeper.run(SWEEP_PAUSE))
                .map(drop),
        );
        Node {
            service: service.unwrap(),
            executions,
            shutdown,
            repository,
            killed: CancellationToken::new(),
            cut_off,
        }
    }

    /// Ends the process, if one runs.
    pub async fn end(&self, how: End) {
        let Some(node) = self.node.take() else { return };
        self.trace.note(format_args!("the process ends: {how:?}"));
        self.was_cut_off
            .set(self.was_cut_off.get() || matches!(how, End::CutOff));
        match how {
            End::Killed => node.kill(),
            End::CutOff => {
                node.cut_off.cancel();
                self.zombies.borrow_mut().push(node);
            }
            End::Drained => {
                node.shutdown.drain();
                let _ = tokio::time::timeout(Duration::from_millis(300), node.executions.idle()).await;
                node.executions.hand_back_leases().await;
                node.kill();
            }
        }
    }

    /// Ends what runs beside the process that callers reach.
    pub fn end_zombies(&self) {
        for node in self.zombies.take() {
            node.kill();
        }
    }

    pub fn call(&self, principal: &Principal) -> CallContext {
        CallContext {
            caller: Arc::new(Caller::named(principal.clone())),
            ..call()
        }
    }
}

impl Node {
    fn kill(&self) {
        self.killed.cancel();
        self.repository.crash();
        self.shutdown.abort();
    }
}

fn traced(mut plan: Plan, trace: Trace) -> Plan {
    Box::new(move |method| {
        let fault = plan(method);
        if let Some(fault) = fault {
            trace.note(format_args!("  database: {method:?} {fault:?}"));
        }
        fault
    })
}

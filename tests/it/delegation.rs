//! Agents that hand work on to agents: chains and trees that end, over real sockets and across a crash.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater};
use a2ad::app::{DELEGATION_EXTENSION, HostedAgent};
use a2ad::client::{Address, Client};
use a2ad::context::{CallContext, Chain};
use a2ad::error::Kind;
use a2ad::execution::{ExecutionSettings, Wait};
use a2ad::pb::{SendMessageRequest, Task, TaskState};
use a2ad::repository::TaskRepository as _;

use crate::support::engine::{Bed, Scripted, call, eventually, incoming, patiently};
use crate::support::messages::{send, state, task};
use crate::support::puppet;
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    a_circle_ends,
    a_circle_that_counts_for_itself_ends,
    a_tree_has_no_more_calls_than_its_budget,
    a_chain_that_is_too_long_is_refused,
);

/// Calls itself over the wire, by gRPC: once, or three times at once (`tree`).
#[derive(Clone, Default)]
struct Circle {
    runs: Arc<AtomicUsize>,
    address: Arc<OnceLock<SocketAddr>>,
}

impl Circle {
    fn runs(&self) -> usize {
        self.runs.load(Ordering::Acquire)
    }

    fn request(words: &str) -> SendMessageRequest {
        send("circle", "m", words)
    }

    async fn client(&self) -> Result<Client, AgentError> {
        let address = self.address.get().expect("it serves").to_string();
        let address = Address::from_str(&address)?;
        Ok(Client::grpc(&address, None, None).await?)
    }

    /// Hands the task on once; what became of it there.
    async fn hand_on(&self, request: &RequestContext, share: u32) -> Result<Task, AgentError> {
        let onward = request.delegation().next(share);
        let onward = onward.map_err(|error| AgentError::new(error.to_string()))?;
        let answer = self
            .client()
            .await?
            .send_onward(Self::request(&request.text()), onward)
            .await;
        Ok(task(answer?))
    }

    /// The same without the runtime's help, by an agent that does not look at its budget.
    async fn count_alone(&self, request: &RequestContext) -> Result<Task, AgentError> {
        let hops = (request.delegation().hops() + 1).to_string();
        let client = TestClient::new(*self.address.get().expect("it serves"), Wire::Grpc);
        let answer = client.with("a2ad-hops", &hops).call(Self::request("alone")).await;
        Ok(task(answer.map_err(|error| AgentError::new(error.message))?))
    }
}

fn reason(task: &Task) -> String {
    let status = task.status.as_ref().and_then(|status| status.message.as_ref());
    format!("{status:?}")
}

#[async_trait::async_trait]
impl AgentExecutor for Circle {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        self.runs.fetch_add(1, Ordering::AcqRel);
        updater.working().await?;
        let next = match &*request.text() {
            "alone" => self.count_alone(&request).await?,
            "tree" => {
                let share = request.delegation().left().saturating_sub(3) / 3;
                let hand_on = || self.hand_on(&request, share);
                let _ = tokio::join!(hand_on(), hand_on(), hand_on());
                updater.complete().await?;
                return Ok(());
            }
            _ => {
                let rest = request.delegation().left().saturating_sub(1);
                self.hand_on(&request, rest).await?
            }
        };
        match state(&next) {
            TaskState::Completed => updater.complete().await?,
            _ => return Err(AgentError::new(reason(&next))),
        }
        Ok(())
    }
}

async fn world(hops_max: u32, budget: u32) -> (World, Circle) {
    let circle = Circle::default();
    let hosted = HostedAgent::new("circle", puppet::card(), Arc::new(circle.clone()));
    let scenario = Scenario::new().hosting(hosted).set(|config| {
        config.limits.delegation_hops_max = hops_max;
        config.limits.delegation_budget = budget;
    });
    let world = scenario.start().await;
    circle.address.set(world.address).expect("set once");
    (world, circle)
}

async fn a_circle_ends(wire: Wire) {
    for (hops_max, budget, runs, limit) in [
        (8, 64, 9, "delegation_hops_max"),
        (0, 64, 1, "delegation_hops_max"),
        (8, 3, 4, "a2ad-budget"),
    ] {
        let (world, circle) = world(hops_max, budget).await;
        let root = task(world.client(wire).call(Circle::request("go")).await.unwrap());
        assert_eq!(state(&root), TaskState::Failed);
        assert!(reason(&root).contains(limit), "{root:?}");
        assert_eq!(circle.runs(), runs);
    }
}

async fn a_circle_that_counts_for_itself_ends(wire: Wire) {
    let (world, circle) = world(8, 64).await;
    let root = task(world.client(wire).call(Circle::request("alone")).await.unwrap());
    assert_eq!(state(&root), TaskState::Failed);
    assert!(reason(&root).contains("delegation_hops_max"), "{root:?}");
    assert_eq!(circle.runs(), 9);
}

async fn a_tree_has_no_more_calls_than_its_budget(wire: Wire) {
    let (world, circle) = world(8, 64).await;
    let root = task(
        world
            .client(wire)
            .with("a2ad-budget", "40")
            .call(Circle::request("tree"))
            .await
            .unwrap(),
    );
    assert_eq!(state(&root), TaskState::Completed);
    // 3 calls with 12 each, 9 with 3 each, 27 with nothing: the root and 39.
    assert_eq!(circle.runs(), 1 + 3 + 9 + 27);
}

async fn a_chain_that_is_too_long_is_refused(wire: Wire) {
    let (world, circle) = world(8, 64).await;
    let client = || world.client(wire);
    client()
        .with("a2ad-hops", "8")
        .call(send("echo", "m", "x"))
        .await
        .unwrap();
    let too_long = client().with("a2ad-hops", "9");
    let error = too_long.call(Circle::request("go")).await.unwrap_err();
    let error = error.is(Kind::ResourceExhausted);
    assert_eq!(
        (&*error.metadata["reason"], &*error.metadata["limit"]),
        ("delegation", "8")
    );
    assert!(
        error.message.contains("delegation_hops_max") && !error.retry,
        "{error:?}"
    );
    for name in ["a2ad-hops", "a2ad-budget"] {
        for junk in ["", "-1", "+1", "1.5", "x", "4294967296", "1 1"] {
            let error = client()
                .with(name, junk)
                .call(Circle::request("go"))
                .await
                .unwrap_err();
            assert_eq!(error.is(Kind::InvalidParams).fields, [name], "{junk:?}");
        }
        let twice = client().with(name, "1").with_another(name, "1");
        let error = twice.call(Circle::request("go")).await.unwrap_err();
        assert_eq!(error.is(Kind::InvalidParams).fields, [name]);
    }
    assert_eq!(circle.runs(), 0);
}

#[tokio::test]
async fn cards_say_that_chains_end() {
    let world = World::new().await;
    let card = world
        .client(Wire::HttpJson)
        .http("GET", "/.well-known/agent-card.json", "")
        .await;
    let extensions = card.json()["capabilities"]["extensions"].clone();
    assert!(
        extensions.to_string().contains(DELEGATION_EXTENSION),
        "{extensions}"
    );
}

/// What an agent reads of its delegation in its first and its second attempt.
async fn across_a_crash(chain: Option<Chain>) -> Vec<(u32, u32, u32)> {
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let agent = Scripted::new(move |request, updater| {
        let say = say.clone();
        async move {
            let delegation = request.delegation();
            let _ = delegation.next(0);
            say.send((request.attempt(), delegation.hops(), delegation.left()))?;
            updater.working().await?;
            if request.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            updater.complete().await?;
            Ok(())
        }
    });
    let agent = agent.restarting().agent();
    let settings = ExecutionSettings {
        lease: std::time::Duration::ZERO,
        ..ExecutionSettings::default()
    };
    let bed = Bed::with(settings);
    let mut new = bed.new_task(&agent, "go");
    new.incoming = a2ad::execution::Incoming {
        call: CallContext { chain, ..call() },
        ..incoming("go")
    };
    bed.engine.start(new, Wait::Accepted).await.unwrap();
    let mut read = vec![said.recv().await.unwrap()];
    bed.shutdown.abort();
    eventually(async || bed.shutdown.running() == 0).await;
    let bed = bed.beside();
    let left = bed.repository.lapsed(None, 9).await.unwrap();
    assert_eq!(
        patiently(bed.engine.recover(&agent, &left[0], &call())).await,
        Ok(true)
    );
    read.push(said.recv().await.unwrap());
    read
}

#[tokio::test]
async fn an_execution_that_begins_again_is_where_it_was_in_its_chain() {
    let chain = |hops, budget| Some(Chain { hops, budget });
    assert_eq!(across_a_crash(None).await, [(1, 0, 63), (2, 0, 63)]);
    assert_eq!(across_a_crash(chain(3, Some(5))).await, [(1, 3, 4), (2, 3, 4)]);
    assert_eq!(across_a_crash(chain(7, None)).await, [(1, 7, 63), (2, 7, 63)]);
    // At its end it stays: nothing can be handed on.
    assert_eq!(across_a_crash(chain(8, Some(5))).await, [(1, 8, 5), (2, 8, 5)]);
}

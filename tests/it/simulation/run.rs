//! One simulation from its first call to its rest.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use a2ad::context::{CallContext, Scope};
use a2ad::pb::part::Content;
use a2ad::task::{SeededIds, is_settled};

use super::agent::{self, EXECUTIONS_MAX, EXECUTIONS_PER_OWNER_MAX};
use super::client::{Client, Told};
use super::scheduler::{self, Scheduler};
use super::world::{End, Node, STREAMS_MAX, World};
use super::{Mutant, PRINCIPALS};
use crate::support::messages::{at_once, send, subscribe, task};
use crate::support::random::Random;

/// Callers of every simulation.
const CLIENTS: usize = 5;

/// The longest that a simulation may take, in its own time.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What came of a seed.
pub struct Outcome {
    pub violations: Vec<String>,
    pub counts: BTreeMap<&'static str, usize>,
    pub trace: String,
    pub digest: u64,
}

/// Runs a seed.
pub fn simulate(seed: u64, mutant: Mutant) -> Outcome {
    let _seeded = SeededIds::begin(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, mutant);
        let story = AssertUnwindSafe(tokio::time::timeout(PATIENCE, story(&world, &mut random)));
        match futures_util::FutureExt::catch_unwind(story).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => world.blame(format_args!("stuck")),
            Err(panic) if mutant == Mutant::None => {
                println!("{}\nseed {seed} panicked", world.trace.text());
                resume_unwind(panic);
            }
            Err(_) => world.blame(format_args!("a caller panicked")),
        }
        let book = world.book.take();
        Outcome {
            violations: book.violations,
            counts: book.counts,
            trace: world.trace.text(),
            digest: world.trace.digest(),
        }
    })
}

async fn story(world: &Rc<World>, random: &mut Random) {
    let mut clients: Vec<scheduler::Client> = vec![
        Box::pin(operate(world.clone(), random.fork())),
        Box::pin(heal(world.clone(), random.fork())),
    ];
    for name in 0..CLIENTS {
        let client = Client::new(world, name, random.fork());
        clients.push(Box::pin(client.live(4 + random.below(10))));
    }
    Scheduler::new(clients, random.fork()).await;
    let mut last = Client::new(world, 0, random.fork());
    settle(world, &mut last).await;
    world.check_everything();
}

/// Starts processes and ends them.
async fn operate(world: Rc<World>, mut random: Random) {
    world.boot();
    for _ in 0..random.below(4) {
        tokio::time::sleep(Duration::from_millis(random.below(1_000))).await;
        let (how, name) = *random.pick(&[
            (End::Killed, "killed"),
            (End::Killed, "killed"),
            (End::CutOff, "cut off"),
            (End::Drained, "drained"),
        ]);
        world.end(how).await;
        world.count(name);
        tokio::time::sleep(Duration::from_millis(1 + random.below(100))).await;
        world.boot();
    }
}

/// Ends the faults at last.
async fn heal(world: Rc<World>, mut random: Random) {
    tokio::time::sleep(Duration::from_millis(500 + random.below(4_000))).await;
    world.trace.note(format_args!("the faults end"));
    world.repository.heal();
}

/// Without faults, everything comes to rest: what does not end by itself is canceled, and then nothing is held any more.
async fn settle(world: &Rc<World>, client: &mut Client) {
    world.end_zombies();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if stuck(world).is_empty() {
            break;
        }
    }
    for (scope, id) in stuck(world) {
        let state = world.state(&scope, &id);
        world.blame(format_args!("task {id} is {state:?} for ever"));
    }
    for _ in 0..40 {
        let left = unsettled(world);
        if left.is_empty() {
            break;
        }
        for (scope, id) in left {
            client.principal = scope.owner.clone();
            client.cancel_task(&scope.agent, &id, true).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    for (scope, id) in unsettled(world) {
        let state = world.state(&scope, &id);
        world.blame(format_args!("task {id} stays {state:?}, canceled or not"));
    }
    let Some(node) = world.node() else { return };
    if tokio::time::timeout(Duration::from_secs(60), node.executions.idle())
        .await
        .is_err()
    {
        world.blame(format_args!("{} writers run on", node.executions.running()));
    }
    probe(world, client, &node).await;
}

fn unsettled(world: &World) -> Vec<(Scope, String)> {
    let mut tasks = world.tasks();
    tasks.retain(|(scope, id)| !is_settled(world.state(scope, id)));
    tasks
}

/// The tasks that somebody should bring to an end.
fn stuck(world: &World) -> Vec<(Scope, String)> {
    let mut tasks = unsettled(world);
    tasks.retain(|(scope, id)| !may_still_run(world, scope, id));
    tasks
}

/// Whether the task's agent never ends, or waits to begin again until others do that never end.
fn may_still_run(world: &World, scope: &Scope, id: &str) -> bool {
    let endless = |scope: &Scope, id: &str| said(world, scope, id).iter().any(|said| said.ends_with("never"));
    let all = unsettled(world);
    let held = all
        .iter()
        .filter(|(other, id)| other.agent == scope.agent && endless(other, id));
    let by_owner = held.clone().filter(|(other, _)| other.owner == scope.owner);
    endless(scope, id) || held.count() >= EXECUTIONS_MAX || by_owner.count() >= EXECUTIONS_PER_OWNER_MAX
}

/// What the agent was asked to do; a message waits until those before it are done with.
fn said(world: &World, scope: &Scope, id: &str) -> Vec<String> {
    let folded = a2ad::task::replay(None, 0, &world.log(scope, id));
    let history = folded.ok().flatten().map(|task| task.history).unwrap_or_default();
    let texts = history.into_iter().flat_map(|message| message.parts);
    texts
        .filter_map(|part| match part.content {
            Some(Content::Text(text)) => Some(text),
            _ => None,
        })
        .collect()
}

/// Everything that is bounded is free again: as many executions and streams as there may be can be had.
async fn probe(world: &Rc<World>, client: &mut Client, node: &Node) {
    for owner in PRINCIPALS {
        client.principal = a2ad::context::Principal::verified(owner);
        for agent in agent::NAMES {
            let mut held = Vec::new();
            let mut ids = Vec::new();
            for n in 0..EXECUTIONS_MAX {
                let request = at_once(send(agent, &format!("probe-{owner}-{agent}-{n}"), "w never"));
                let told = client.call("probes", 5_000, async move |node: Node, call: CallContext| {
                    node.service.send_message(&call, request).await
                });
                match told.await {
                    Told::Answer(Ok(response)) => ids.push(task(response).id),
                    Told::Answer(Err(error)) => {
                        return world.blame(format_args!("permits are held: {error:?}"));
                    }
                    Told::Nothing => return world.blame(format_args!("a probe got no answer")),
                }
            }
            for _ in 0..STREAMS_MAX {
                let (call, request) = (world.call(&client.principal), subscribe(agent, &ids[0]));
                match node.service.subscribe_to_task(&call, request).await {
                    Ok(stream) => held.push(stream),
                    Err(error) => world.blame(format_args!("streams are held: {error:?}")),
                }
            }
            for id in &ids {
                if !client.cancel_task(agent, id, true).await {
                    world.blame(format_args!("probe {id} was not canceled"));
                }
            }
        }
    }
    if tokio::time::timeout(Duration::from_secs(60), node.executions.idle())
        .await
        .is_err()
    {
        world.blame(format_args!("{} probes run on", node.executions.running()));
    }
}

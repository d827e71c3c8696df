//! Streams and executions that go on at once.

use a2ad::config::{AgentConfig, AgentQuota, Quota};
use a2ad::error::Kind;

use super::{each_principal, names};
use crate::sockets::soon;
use crate::support::messages::{at_once, send, subscribe, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::Scenario;

for_each_binding!(
    a_caller_runs_so_many_executions,
    a_caller_has_so_many_streams_and_an_agent_too,
);

async fn a_caller_runs_so_many_executions(wire: Wire) {
    let world = each_principal(Quota {
        executions_max: Some(2),
        ..Quota::default()
    });
    let world = world.start().await;
    let (client, other) = (world.client(wire), world.client(wire).from([127, 0, 0, 2]));
    for _ in 0..2 {
        client.call(at_once(send("puppet", "m", "hold"))).await.unwrap();
    }
    for agent in ["puppet", "echo"] {
        let error = client.call(send(agent, "m", "x")).await.unwrap_err();
        let error = error.is(Kind::ResourceExhausted);
        names(&error, "executions_max", "2", "principal");
        assert!(error.retry);
    }
    other.call(send("echo", "m", "x")).await.unwrap();
    // A read is none, and an execution that ends makes room for the next.
    client.call(a2ad::pb::ListTasksRequest::default()).await.unwrap();
    world.puppet.allow(1);
    for _ in 0..3 {
        until(async || client.call(send("echo", "m", "x")).await.ok()).await;
    }
}

async fn a_caller_has_so_many_streams_and_an_agent_too(wire: Wire) {
    let scenario = Scenario::new().set(|config| {
        config.quotas.principal.streams_max = Some(1);
        let quota = AgentQuota {
            streams_max: Some(2),
            ..AgentQuota::default()
        };
        let puppet = AgentConfig {
            quota: Some(quota),
            ..AgentConfig::default()
        };
        config.agents.insert("puppet".to_owned(), puppet);
    });
    let world = scenario.start().await;
    let at = |n: u8| world.client(wire).from([127, 0, 0, n]);
    let begun = task(at(1).call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    let open = async |n: u8| at(n).stream(subscribe("puppet", &begun.id)).await;
    let (first, _second) = (open(1).await.unwrap(), open(2).await.unwrap());
    let own = open(1).await.err().unwrap().is(Kind::ResourceExhausted);
    names(&own, "streams_max", "1", "principal");
    let shared = open(3).await.err().unwrap().is(Kind::ResourceExhausted);
    names(&shared, "streams_max", "2", "agent");
    drop(first);
    until(async || open(3).await.ok()).await;
}

/// Tries again until it works.
async fn until<T>(attempt: impl AsyncFn() -> Option<T>) -> T {
    soon("room for one more", async {
        loop {
            if let Some(done) = attempt().await {
                return done;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

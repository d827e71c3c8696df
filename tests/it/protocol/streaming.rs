//! Send Streaming Message and Subscribe to Task.

use a2ad::config::AgentConfig;
use a2ad::error::Kind;
use a2ad::pb::TaskState;

use crate::support::messages::{
    Event, at_once, get, label, labels, message, reply, send, send_of, state, subscribe, task,
};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    a_stream_has_the_task_and_then_its_events_in_order,
    a_stream_may_be_one_message,
    a_live_task_is_joined_with_the_task_itself,
    a_stream_stays_open_while_the_task_asks,
    an_agent_may_close_streams_that_ask,
    what_has_ended_is_not_subscribed_to,
    a_reader_resumes_where_it_was,
    parallel_readers_see_the_same,
);

async fn a_stream_has_the_task_and_then_its_events_in_order(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for (script, expected) in [
        ("tck-stream-002", vec!["Task", "COMPLETED"]),
        (
            "tck-stream-001",
            vec!["Task", "WORKING", "Artifact:result", "COMPLETED"],
        ),
        (
            "tck-stream-chunked",
            vec![
                "Task",
                "WORKING",
                "Artifact:result",
                "Artifact:result",
                "COMPLETED",
            ],
        ),
        ("tck-task-failure", vec!["Task", "FAILED"]),
    ] {
        let events = client
            .stream(send("conformance", script, "x"))
            .await
            .unwrap()
            .all()
            .await;
        let seen: Vec<String> = events.iter().map(|(_, event)| label(event)).collect();
        let seen: Vec<&str> = seen
            .iter()
            .map(|label| label.split(":SUB").next().unwrap())
            .collect();
        assert_eq!(seen, expected, "{script}");
        let generations: Vec<u64> = events.iter().map(|(generation, _)| *generation).collect();
        assert_eq!(
            generations,
            (1..=expected.len() as u64).collect::<Vec<_>>(),
            "{script}"
        );
    }
}

async fn a_stream_may_be_one_message(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let events = client
        .stream(send("conformance", "tck-message-response", "x"))
        .await
        .unwrap()
        .all()
        .await;
    assert_eq!(labels(&events), ["0 Message"]);
}

async fn a_live_task_is_joined_with_the_task_itself(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = client.stream(send("puppet", "m", "steps 2")).await.unwrap();
    let mut begun = begun;
    let (_, Event::Task(task)) = begun.event().await else {
        panic!("the task comes first")
    };
    assert_eq!(label(&begun.event().await.1), "WORKING");
    let mut joined = client.stream(subscribe("puppet", &task.id)).await.unwrap();
    let (generation, first) = joined.event().await;
    assert_eq!((generation, label(&first)), (2, "Task:WORKING".to_owned()));
    world.puppet.allow(3);
    let expected = ["3 Artifact:step-0", "4 Artifact:step-1", "5 COMPLETED"];
    assert_eq!(labels(&joined.all().await), expected);
    assert_eq!(labels(&begun.all().await), expected);
}

async fn a_stream_stays_open_while_the_task_asks(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let asking = task(
        client
            .call(send("conformance", "tck-input-required", "x"))
            .await
            .unwrap(),
    );
    let mut reader = client.stream(subscribe("conformance", &asking.id)).await.unwrap();
    let (asked_at, first) = reader.event().await;
    assert_eq!(label(&first), "Task:INPUT_REQUIRED");
    client
        .call(reply("conformance", &asking, "tck-input-required-2", "more"))
        .await
        .unwrap();
    client
        .call(reply("conformance", &asking, "tck-complete-task", "now"))
        .await
        .unwrap();
    let events = reader.all().await;
    assert_eq!(label(&events.last().unwrap().1), "COMPLETED");
    let asked_again = events.iter().any(|(_, event)| label(event) == "INPUT_REQUIRED");
    assert!(asked_again, "{:?}", labels(&events));
    let generations: Vec<u64> = events.iter().map(|(generation, _)| *generation).collect();
    let dense: Vec<u64> = (asked_at + 1..=asked_at + events.len() as u64).collect();
    assert_eq!(generations, dense);
}

async fn an_agent_may_close_streams_that_ask(wire: Wire) {
    let closing = AgentConfig {
        close_on_interrupt: true,
        ..AgentConfig::default()
    };
    let scenario = Scenario::new().set(|config| {
        config.agents.insert("conformance".to_owned(), closing);
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    let events = client
        .stream(send("conformance", "tck-input-required", "x"))
        .await
        .unwrap()
        .all()
        .await;
    assert_eq!(label(&events.last().unwrap().1), "INPUT_REQUIRED");
}

async fn what_has_ended_is_not_subscribed_to(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let done = task(client.call(send("echo", "m", "x")).await.unwrap());
    let refused = client.stream(subscribe("echo", &done.id)).await.err().unwrap();
    refused.is(Kind::UnsupportedOperation);
    let unknown = client.stream(subscribe("echo", "nobody")).await.err().unwrap();
    unknown.is(Kind::TaskNotFound);
    // A follow-up to what has ended is refused in the same way, also as a stream.
    let follow_up = client
        .stream(reply("echo", &done, "m2", "x"))
        .await
        .err()
        .unwrap();
    follow_up.is(Kind::UnsupportedOperation);
    client
        .call(reply("echo", &done, "m2", "x"))
        .await
        .unwrap_err()
        .is(Kind::UnsupportedOperation);
}

async fn a_reader_resumes_where_it_was(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let all = client
        .stream(send("conformance", "tck-stream-chunked", "x"))
        .await
        .unwrap()
        .all()
        .await;
    let (_, Event::Task(task)) = &all[0] else {
        panic!("the task comes first")
    };
    for behind in 1..=all.len() {
        let resuming = client.clone().behind(behind as u64);
        let rest = resuming
            .stream(subscribe("conformance", &task.id))
            .await
            .unwrap()
            .all()
            .await;
        assert_eq!(rest, all[behind..], "behind {behind}");
    }
    let beyond = client
        .clone()
        .behind(99)
        .stream(subscribe("conformance", &task.id))
        .await
        .err()
        .unwrap();
    beyond.is(Kind::InvalidParams);
    let junk = if wire == Wire::Grpc {
        "a2ad-last-generation"
    } else {
        "last-event-id"
    };
    let junk = client
        .clone()
        .with(junk, "x")
        .stream(subscribe("conformance", &task.id))
        .await
        .err()
        .unwrap();
    junk.is(Kind::InvalidParams);
    // A reader in the middle of a live task gets exactly what it has not seen, and then what happens.
    let begun = crate::support::messages::task(
        client
            .call(at_once(send("puppet", "m", "steps 2")))
            .await
            .unwrap(),
    );
    world.puppet.allow(1);
    let mut live = client
        .clone()
        .behind(1)
        .stream(subscribe("puppet", &begun.id))
        .await
        .unwrap();
    let seen = vec![live.event().await, live.event().await];
    assert_eq!(labels(&seen), ["2 WORKING", "3 Artifact:step-0"]);
    world.puppet.allow(2);
    assert_eq!(labels(&live.all().await), ["4 Artifact:step-1", "5 COMPLETED"]);
}

async fn parallel_readers_see_the_same(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let asking = task(
        client
            .call(send_of("conformance", message("m0", "tck-multi-turn")))
            .await
            .unwrap(),
    );
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(client.stream(subscribe("conformance", &asking.id)).await.unwrap());
    }
    let done = task(
        client
            .call(reply("conformance", &asking, "m1", "done"))
            .await
            .unwrap(),
    );
    assert_eq!(state(&done), TaskState::Completed);
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.all().await);
    }
    assert_eq!(label(&seen[0].last().unwrap().1), "COMPLETED");
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    let stored = client.call(get("conformance", &asking.id)).await.unwrap();
    assert_eq!(stored, done);
}

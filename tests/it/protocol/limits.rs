//! Beyond a limit: a clear error that names it, on every binding, and room again behind it.

use a2ad::config::AgentConfig;
use a2ad::error::Kind;
use a2ad::pb::{Message, Task, TaskState, Value, value};

use crate::sockets::soon;
use crate::support::messages::{at_once, get, message, send, send_of, state, subscribe, task, text};
use crate::support::wire::{Wire, WireError, for_each_binding};
use crate::support::world::Scenario;

for_each_binding!(
    parts_and_bodies_have_a_size,
    messages_have_a_shape,
    ids_have_a_length,
    a_caller_has_so_many_streams,
    an_agent_runs_so_many_executions,
    an_owner_has_a_share_of_the_executions,
    tasks_wait_for_an_execution,
    an_execution_and_a_question_last_so_long,
    so_many_requests_are_in_flight,
);

async fn parts_and_bodies_have_a_size(wire: Wire) {
    let scenario = Scenario::new().set(|config| {
        config.limits.part_bytes_max = 1_000;
        config.server.body_bytes_max = 4_096;
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    client.call(send("echo", "m", &"x".repeat(1_000))).await.unwrap();
    let part = client
        .call(send("echo", "m", &"x".repeat(1_001)))
        .await
        .unwrap_err()
        .too_large();
    assert!(part.message.contains("part_bytes_max"), "{part:?}");
    let body = client
        .call(send("echo", "m", &"x".repeat(5_000)))
        .await
        .unwrap_err()
        .too_large();
    assert_eq!(
        (&*body.reason, body.metadata["bytesMax"].as_str()),
        ("RESOURCE_EXHAUSTED", "4096")
    );
    // Many parts that are small enough one by one.
    let parts = (0..5).map(|_| text(&"x".repeat(999))).collect();
    client
        .call(send_of(
            "echo",
            Message {
                parts,
                ..message("m", "")
            },
        ))
        .await
        .unwrap_err()
        .too_large();
}

/// Lists inside one another.
fn nested(depth: usize) -> Value {
    let mut value = Value {
        kind: Some(value::Kind::BoolValue(true)),
    };
    for _ in 0..depth {
        let list = a2ad::pb::ListValue { values: vec![value] };
        value = Value {
            kind: Some(value::Kind::ListValue(list)),
        };
    }
    value
}

fn with_data(data: Value) -> Message {
    let mut part = text("");
    part.content = Some(a2ad::pb::part::Content::Data(data));
    Message {
        parts: vec![part],
        ..message("m", "")
    }
}

async fn messages_have_a_shape(wire: Wire) {
    let scenario = Scenario::new().set(|config| {
        config.limits.depth_max = 5;
        config.limits.nodes_max = 100;
        config.limits.parts_max = 3;
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    client.call(send_of("echo", with_data(nested(5)))).await.unwrap();
    let values = vec![nested(0); 101];
    let wide = Value {
        kind: Some(value::Kind::ListValue(a2ad::pb::ListValue { values })),
    };
    let parts = vec![text("x"); 4];
    for (message, limit) in [
        (with_data(nested(6)), "5"),
        (with_data(wide), "100"),
        (
            Message {
                parts,
                ..message("m", "")
            },
            "3",
        ),
    ] {
        let error = client
            .call(send_of("echo", message))
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert!(error.message.contains(limit), "{error:?}");
    }
}

async fn ids_have_a_length(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.limits.id_bytes_max = 40)
        .start()
        .await;
    let client = world.client(wire);
    let long = || "x".repeat(41);
    client.call(send("echo", &"x".repeat(40), "x")).await.unwrap();
    for (message, field) in [
        (message(&long(), "x"), "message.messageId"),
        (
            Message {
                context_id: long(),
                ..message("m", "x")
            },
            "message.contextId",
        ),
        (
            Message {
                task_id: long(),
                ..message("m", "x")
            },
            "message.taskId",
        ),
    ] {
        let error = client
            .call(send_of("echo", message))
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
    }
}

async fn a_caller_has_so_many_streams(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.limits.streams_per_caller_max = 2)
        .start()
        .await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    let open = async || client.stream(subscribe("puppet", &begun.id)).await;
    let (first, _second) = (open().await.unwrap(), open().await.unwrap());
    let error = open().await.err().unwrap().is(Kind::ResourceExhausted);
    assert!(error.message.contains("streams_per_caller_max"), "{error:?}");
    drop(first);
    until(async || open().await.ok()).await;
}

async fn an_agent_runs_so_many_executions(wire: Wire) {
    let few = AgentConfig {
        executions_max: Some(1),
        queue_max: Some(0),
        ..AgentConfig::default()
    };
    let scenario = Scenario::new().set(|config| {
        config.agents.insert("puppet".to_owned(), few);
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    client.call(at_once(send("puppet", "m", "hold"))).await.unwrap();
    let error = client
        .call(send("puppet", "m", "seen"))
        .await
        .unwrap_err()
        .is(Kind::ResourceExhausted);
    assert!(
        error.retry && error.message.contains("executions_max"),
        "{error:?}"
    );
    client.call(send("echo", "m", "x")).await.unwrap();
    world.puppet.allow(1);
    until(async || client.call(send("puppet", "m", "seen")).await.ok()).await;
}

async fn an_owner_has_a_share_of_the_executions(wire: Wire) {
    for (limit, share) in [(None, 3), (Some(1), 1), (Some(0), 4)] {
        let few = AgentConfig {
            executions_max: Some(4),
            executions_per_owner_max: limit,
            ..AgentConfig::default()
        };
        let scenario = Scenario::new().set(|config| {
            config.agents.insert("puppet".to_owned(), few);
        });
        let world = scenario.start().await;
        let client = world.client(wire);
        let mut tasks = Vec::new();
        for _ in 0..4 {
            tasks.push(task(
                client.call(at_once(send("puppet", "m", "hold"))).await.unwrap(),
            ));
        }
        let is = async |task: &Task, wanted: TaskState| {
            let now = client.call(get("puppet", &task.id)).await.unwrap();
            state(&now) == wanted
        };
        for running in &tasks[..share] {
            until(async || is(running, TaskState::Working).await.then_some(())).await;
        }
        for waiting in &tasks[share..] {
            assert!(is(waiting, TaskState::Submitted).await, "{limit:?}");
        }
        world.puppet.allow(4);
    }
}

async fn tasks_wait_for_an_execution(wire: Wire) {
    let few = AgentConfig {
        executions_max: Some(1),
        queue_max: Some(2),
        ..AgentConfig::default()
    };
    let scenario = Scenario::new().set(|config| {
        config.agents.insert("puppet".to_owned(), few);
        config.execution.queue_per_owner_max = 1;
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    let waiting = task(client.call(at_once(send("puppet", "m", "seen"))).await.unwrap());
    assert_eq!(state(&waiting), TaskState::Submitted);
    let error = client
        .call(send("puppet", "m", "seen"))
        .await
        .unwrap_err()
        .is(Kind::ResourceExhausted);
    assert!(
        error.retry && error.message.contains("queue_per_owner_max"),
        "{error:?}"
    );
    world.puppet.allow(1);
    for id in [begun.id, waiting.id] {
        until(async || {
            let now = client.call(get("puppet", &id)).await.unwrap();
            (state(&now) == TaskState::Completed).then_some(())
        })
        .await;
    }
}

async fn an_execution_and_a_question_last_so_long(wire: Wire) {
    let scenario = Scenario::new().set(|config| {
        config.execution.interrupted_ttl_ms = 1;
        config.execution.sweep_interval_ms = 100;
        let short = AgentConfig {
            task_timeout_ms: Some(1),
            ..AgentConfig::default()
        };
        config.agents.insert("puppet".to_owned(), short);
    });
    let world = scenario.start().await;
    let client = world.client(wire);
    let failed = task(client.call(send("puppet", "m", "hold")).await.unwrap());
    assert_eq!(state(&failed), TaskState::Failed);
    assert!(format!("{failed:?}").contains("task_timeout_ms"), "{failed:?}");
    let asked = task(
        client
            .call(send("conformance", "tck-input-required", "x"))
            .await
            .unwrap(),
    );
    until(async || {
        let now = client.call(get("conformance", &asked.id)).await.unwrap();
        (state(&now) == TaskState::Failed && format!("{now:?}").contains("interrupted_ttl_ms")).then_some(())
    })
    .await;
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

async fn so_many_requests_are_in_flight(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.server.in_flight_max = 1)
        .start()
        .await;
    let client = world.client(wire);
    let held = client.call(send("puppet", "m", "hold"));
    let meanwhile = async {
        until(async || (world.puppet.runs() == 1).then_some(())).await;
        let error = client
            .clone()
            .with("x-request-id", "mine")
            .full(send("echo", "m", "x"))
            .await
            .unwrap_err();
        world.puppet.allow(1);
        error
    };
    let (held, error) = tokio::join!(held, meanwhile);
    held.unwrap();
    let error = error.is(Kind::Unavailable);
    assert!(
        error.retry && error.message.contains("in_flight_max"),
        "{error:?}"
    );
    assert_eq!(error.metadata["requestId"], "mine");
    assert_eq!(error.headers["x-request-id"], "mine");
    client.call(send("echo", "m", "x")).await.unwrap();
}

#[tokio::test]
async fn a_batch_has_so_many_requests() {
    let scenario = Scenario::new().set(|config| {
        config.limits.batch_requests_max = 2;
        config.limits.batch_concurrency_max = 2;
    });
    let world = scenario.start().await;
    let client = world.client(Wire::JsonRpc);
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"ListTasks"}"#;
    let two = client.post(&format!("[{one},{one}]")).await;
    assert_eq!((two.status, two.json().as_array().unwrap().len()), (200, 2));
    let three = client.post(&format!("[{one},{one},{one}]")).await;
    let error = three.error(Wire::JsonRpc).too_large();
    assert!(error.message.contains("at most 2"), "{error:?}");
}

#[tokio::test]
async fn a_compressed_message_has_the_size_that_it_unpacks_to() {
    let scenario = Scenario::new().set(|config| {
        config.limits.part_bytes_max = 4_096;
        config.server.body_bytes_max = 4_096;
    });
    let world = scenario.start().await;
    let client = world.client(Wire::Grpc);
    let send = async |bytes: usize| {
        let gzip = tonic::codec::CompressionEncoding::Gzip;
        let message = send("echo", "m", &"x".repeat(bytes));
        client
            .grpc()
            .send_compressed(gzip)
            .accept_compressed(gzip)
            .send_message(message)
            .await
    };
    send(2_000).await.unwrap();
    let bomb = WireError::from_status(send(1 << 20).await.unwrap_err()).too_large();
    assert_eq!(&*bomb.reason, "RESOURCE_EXHAUSTED");
}

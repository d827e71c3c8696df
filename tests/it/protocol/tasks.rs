//! Get Task and Cancel Task.

use a2ad::error::Kind;
use a2ad::pb::{CancelTaskRequest, GetTaskRequest, Task, TaskState};

use crate::support::messages::{at_once, get, history, message, reply, send, send_of, state, task};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::World;

for_each_binding!(
    a_history_is_as_long_as_asked,
    a_running_task_is_canceled_once,
    an_interrupted_task_is_canceled,
    an_ended_task_is_not_cancelable,
    an_agent_may_refuse_a_cancel,
);

fn cancel(agent: &str, id: &str) -> CancelTaskRequest {
    CancelTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
        metadata: None,
    }
}

/// A task with five messages of its user, m0 to m4, that waits for more.
async fn talk(client: &TestClient) -> Task {
    let first = send_of("conformance", message("m0", "tck-multi-turn"));
    let mut last = task(client.call(first).await.unwrap());
    for turn in 1..5 {
        last = task(
            client
                .call(reply("conformance", &last, &format!("m{turn}"), "more"))
                .await
                .unwrap(),
        );
    }
    last
}

async fn a_history_is_as_long_as_asked(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let talk = talk(&client).await;
    for (length, expected) in [
        (None, vec!["m0", "m1", "m2", "m3", "m4"]),
        (Some(0), vec![]),
        (Some(2), vec!["m3", "m4"]),
        (Some(99), vec!["m0", "m1", "m2", "m3", "m4"]),
    ] {
        let request = GetTaskRequest {
            history_length: length,
            ..get("conformance", &talk.id)
        };
        assert_eq!(
            history(&client.call(request).await.unwrap()),
            expected,
            "{length:?}"
        );
    }
    let negative = GetTaskRequest {
        history_length: Some(-1),
        ..get("conformance", &talk.id)
    };
    let error = client.call(negative).await.unwrap_err().is(Kind::InvalidParams);
    assert_eq!(error.fields, ["historyLength"]);
}

async fn a_running_task_is_canceled_once(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = task(
        client
            .call(at_once(send("conformance", "tck-cancel", "x")))
            .await
            .unwrap(),
    );
    for _ in 0..2 {
        // Reading of the specification 3.1.5: cancelling again gives the canceled task.
        let canceled = client.call(cancel("conformance", &begun.id)).await.unwrap();
        assert_eq!(
            (canceled.id.as_str(), state(&canceled)),
            (begun.id.as_str(), TaskState::Canceled)
        );
    }
    let stored = client.call(get("conformance", &begun.id)).await.unwrap();
    assert_eq!(state(&stored), TaskState::Canceled);
}

async fn an_interrupted_task_is_canceled(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for id in ["tck-input-required", "tck-auth-required"] {
        let asking = task(client.call(send("conformance", id, "x")).await.unwrap());
        let canceled = client.call(cancel("conformance", &asking.id)).await.unwrap();
        assert_eq!(state(&canceled), TaskState::Canceled, "{id}");
    }
}

async fn an_ended_task_is_not_cancelable(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for id in ["tck-complete-task", "tck-task-failure", "tck-reject-task"] {
        let ended = task(client.call(send("conformance", id, "x")).await.unwrap());
        client
            .call(cancel("conformance", &ended.id))
            .await
            .unwrap_err()
            .is(Kind::TaskNotCancelable);
        let stored = client.call(get("conformance", &ended.id)).await.unwrap();
        assert_eq!(state(&stored), state(&ended), "{id}");
    }
    let error = client
        .call(cancel("conformance", "nobody"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    assert_eq!(error.metadata["taskId"], "nobody");
}

async fn an_agent_may_refuse_a_cancel(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = task(
        client
            .call(at_once(send("puppet", "m", "stubborn")))
            .await
            .unwrap(),
    );
    let error = client
        .call(cancel("puppet", &begun.id))
        .await
        .unwrap_err()
        .is(Kind::TaskNotCancelable);
    assert!(error.message.contains("not now"), "{error:?}");
    let stored = client.call(get("puppet", &begun.id)).await.unwrap();
    assert_eq!(state(&stored), TaskState::Working);
}

//! Several messages in one task, contexts, and tasks that refer to others.

use a2ad::error::Kind;
use a2ad::pb::part::Content;
use a2ad::pb::{Message, Task, TaskState};

use crate::support::messages::{configured, get, history, message, reply, send, send_of, state, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::World;

for_each_binding!(
    a_task_asks_and_goes_on,
    a_context_is_made_taken_or_inferred,
    a_message_must_fit_its_task,
    a_message_may_refer_to_tasks,
    the_answer_has_as_much_history_as_asked,
);

async fn a_task_asks_and_goes_on(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for (script, asks) in [
        ("tck-multi-turn", TaskState::InputRequired),
        ("tck-auth-required", TaskState::AuthRequired),
    ] {
        let first = task(
            client
                .call(send_of("conformance", message("m1", script)))
                .await
                .unwrap(),
        );
        assert_eq!(state(&first), asks, "{script}");
        let second = task(
            client
                .call(reply("conformance", &first, "m2", "more"))
                .await
                .unwrap(),
        );
        assert_eq!((&second.id, state(&second)), (&first.id, asks), "{script}");
        let done = reply("conformance", &first, "tck-complete-task", "done");
        let last = task(client.call(done).await.unwrap());
        assert_eq!(
            (&last.id, state(&last)),
            (&first.id, TaskState::Completed),
            "{script}"
        );
        let users: Vec<&str> = history(&last)
            .into_iter()
            .filter(|id| ["m1", "m2", "tck-complete-task"].contains(id))
            .collect();
        assert_eq!(users, ["m1", "m2", "tck-complete-task"]);
        client
            .call(reply("conformance", &first, "m4", "x"))
            .await
            .unwrap_err()
            .is(Kind::UnsupportedOperation);
    }
}

async fn a_context_is_made_taken_or_inferred(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let made = task(
        client
            .call(send("conformance", "tck-input-required", "x"))
            .await
            .unwrap(),
    );
    assert!(!made.context_id.is_empty());
    let named = Message {
        context_id: "my talk".to_owned(),
        ..message("tck-input-required", "x")
    };
    let named = task(client.call(send_of("conformance", named)).await.unwrap());
    assert_eq!(named.context_id, "my talk");
    for asked in [made, named] {
        let inferred = task(
            client
                .call(reply("conformance", &asked, "m2", "x"))
                .await
                .unwrap(),
        );
        assert_eq!(inferred.context_id, asked.context_id);
        let last = inferred.history.last().unwrap();
        assert_eq!((&last.context_id, &last.task_id), (&asked.context_id, &asked.id));
    }
}

async fn a_message_must_fit_its_task(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let asking = task(
        client
            .call(send("conformance", "tck-input-required", "x"))
            .await
            .unwrap(),
    );
    let to = |task_id: &str, context_id: &str| {
        let (task_id, context_id) = (task_id.to_owned(), context_id.to_owned());
        send_of(
            "conformance",
            Message {
                task_id,
                context_id,
                ..message("m2", "x")
            },
        )
    };
    let error = client
        .call(to(&asking.id, "another"))
        .await
        .unwrap_err()
        .is(Kind::InvalidParams);
    assert_eq!(error.fields, ["message.contextId"]);
    // A task of the caller's own making does not exist (specification 3.4.2).
    client
        .call(to("my-task", ""))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    client
        .call(to("my-task", &asking.context_id))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    let stored = client.call(get("conformance", &asking.id)).await.unwrap();
    assert_eq!(stored, asking, "nothing of that was heard");
    // Another agent of the same runtime does not know the task.
    client
        .call(get("echo", &asking.id))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
}

async fn a_message_may_refer_to_tasks(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    world.puppet.allow(1);
    let first = task(client.call(send("puppet", "m1", "hold")).await.unwrap());
    let elsewhere = task(client.call(send("echo", "m2", "x")).await.unwrap());
    let reference_task_ids = vec![first.id.clone(), "nobody".to_owned(), elsewhere.id];
    let referring = Message {
        reference_task_ids: reference_task_ids.clone(),
        ..message("m3", "seen")
    };
    let seen = task(client.call(send_of("puppet", referring)).await.unwrap());
    assert_eq!(seen.history[0].reference_task_ids, reference_task_ids);
    assert!(
        said(&seen).contains(&format!("references={} ", first.id)),
        "{}",
        said(&seen)
    );
    let malformed = Message {
        reference_task_ids: vec!["a/b".to_owned()],
        ..message("m4", "seen")
    };
    let error = client
        .call(send_of("puppet", malformed))
        .await
        .unwrap_err()
        .is(Kind::InvalidParams);
    assert_eq!(error.fields, ["message.referenceTaskIds[0]"]);
}

async fn the_answer_has_as_much_history_as_asked(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let asking = task(
        client
            .call(send("conformance", "tck-multi-turn", "x"))
            .await
            .unwrap(),
    );
    let next = |length| {
        let next = reply("conformance", &asking, "m2", "more");
        configured(next, |configuration| configuration.history_length = length)
    };
    assert_eq!(history(&task(client.call(next(Some(0))).await.unwrap())), [""; 0]);
    assert_eq!(history(&task(client.call(next(Some(1))).await.unwrap())), ["m2"]);
    assert_eq!(task(client.call(next(None)).await.unwrap()).history.len(), 4);
    let error = client
        .call(next(Some(-1)))
        .await
        .unwrap_err()
        .is(Kind::InvalidParams);
    assert_eq!(error.fields, ["configuration.historyLength"]);
}

/// The text of the first artifact.
pub fn said(task: &Task) -> &str {
    match &task.artifacts[0].parts[0].content {
        Some(Content::Text(text)) => text,
        other => panic!("not a text: {other:?}"),
    }
}

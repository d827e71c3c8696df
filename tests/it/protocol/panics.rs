//! Agents that panic: each takes its own task along and nothing else, on every binding.

use a2ad::pb::{CancelTaskRequest, TaskState};

use crate::support::messages::{at_once, get, send, state, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::World;

for_each_binding!(
    a_panic_fails_its_own_task_and_nothing_else,
    a_panic_in_the_cancel_handler_cancels,
);

async fn a_panic_fails_its_own_task_and_nothing_else(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let other = task(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    for text in ["panic", "panic late"] {
        let failed = task(client.call(send("puppet", "m", text)).await.unwrap());
        assert_eq!(state(&failed), TaskState::Failed, "{text}");
        assert!(!format!("{failed:?}").contains("on purpose"), "{failed:?}");
        let events = client
            .stream(send("puppet", "m", text))
            .await
            .unwrap()
            .all()
            .await;
        let last = format!("{:?}", events.last().expect("events").1);
        assert!(last.contains("the agent panicked"), "{last}");
    }
    world.puppet.allow(1);
    crate::sockets::soon("the other task", async {
        loop {
            let now = client.call(get("puppet", &other.id)).await.unwrap();
            if state(&now) == TaskState::Completed {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.call(send("echo", "m", "x")).await.unwrap();
}

async fn a_panic_in_the_cancel_handler_cancels(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = task(
        client
            .call(at_once(send("puppet", "m", "fragile")))
            .await
            .unwrap(),
    );
    let cancel = CancelTaskRequest {
        tenant: "puppet".to_owned(),
        id: begun.id.clone(),
        ..CancelTaskRequest::default()
    };
    let canceled = client.call(cancel).await.unwrap();
    assert_eq!(state(&canceled), TaskState::Canceled);
    client.call(send("puppet", "m", "seen")).await.unwrap();
}

//! Deliveries that arrive: what is in them, and in which order they come.

use a2ad::push::{EVENTS_EXTENSION, delivery_id};
use a2ad::repository::{DeliveryKey, PushStream};

use super::{AGENT, bearer, begin, begun, hook, scenario, whole};
use crate::support::messages::{at_once, label, send, subscribe, task};
use crate::support::webhook::{Answer, Webhook};
use crate::support::wire::{Wire, for_each_binding};

for_each_binding!(
    a_configuration_within_a_message_gets_every_event,
    a_configuration_gets_what_comes_after_it,
    a_fragment_chooses_events,
    a_task_that_is_done_at_once_is_delivered_whole,
);

async fn a_configuration_within_a_message_gets_every_event(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    let receiver = Webhook::good().await;
    let mut config = hook("", "c", receiver.url("/hook?key=1"));
    config.token = "the token".to_owned();
    config.authentication = bearer("the credentials");
    world.puppet.allow(4);
    let begun = task(client.call(begin("steps 3", config)).await.unwrap());
    let received = receiver.wait(6).await;
    assert_eq!(receiver.labels(), whole(3));
    for (index, delivery) in received.iter().enumerate() {
        assert_eq!(delivery.path, "/hook?key=1");
        let stream = PushStream {
            task_id: begun.id.as_str().into(),
            config_id: "c".into(),
        };
        let generation = index as u64 + 1;
        let id = delivery_id(&DeliveryKey { stream, generation }).to_string();
        for (name, value) in [
            ("content-type", "application/a2a+json"),
            ("a2a-version", "1.0"),
            ("authorization", "Bearer the credentials"),
            ("x-a2a-notification-token", "the token"),
            ("a2a-notification-token", "the token"),
            ("a2a-notification-id", &id),
            ("idempotency-key", &id),
        ] {
            assert_eq!(delivery.header(name), value, "{name}");
        }
        let (trace, first) = (delivery.header("traceparent"), received[0].header("traceparent"));
        assert!(trace.starts_with("00-") && trace.len() == 55, "{trace}");
        assert_eq!(trace[..35], first[..35], "one trace for a task");
    }
}

async fn a_configuration_gets_what_comes_after_it(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    let receiver = Webhook::good().await;
    let begun = task(client.call(at_once(send(AGENT, "m", "steps 2"))).await.unwrap());
    let mut events = client.stream(subscribe(AGENT, &begun.id)).await.unwrap();
    // The stream has begun, and with it the task works.
    let first = events.next().await.unwrap().unwrap();
    assert!(label(&first.1).starts_with("Task"));
    client
        .call(hook(&begun.id, "c", receiver.url("/")))
        .await
        .unwrap();
    world.puppet.allow(3);
    let received = receiver.wait(3).await;
    let labels: Vec<String> = received
        .iter()
        .rev()
        .take(3)
        .rev()
        .map(|one| one.label())
        .collect();
    assert_eq!(labels, whole(2)[2..]);
}

async fn a_fragment_chooses_events(wire: Wire) {
    let world = scenario().start().await;
    let receiver = Webhook::good().await;
    let client = world.client(wire).with("a2a-extensions", EVENTS_EXTENSION);
    let chosen = receiver.url("/chosen#a2ad-push-events=artifact,terminal");
    world.puppet.allow(3);
    let begun = task(
        client
            .call(begin("steps 2", hook("", "c", chosen.clone())))
            .await
            .unwrap(),
    );
    receiver.wait(3).await;
    assert_eq!(receiver.labels(), whole(2)[2..]);
    assert_eq!(receiver.received()[0].path, "/chosen");
    let shown = client.call(super::one(&begun.id, "c")).await.unwrap();
    assert_eq!(shown.url, chosen);
}

async fn a_task_that_is_done_at_once_is_delivered_whole(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    // A head without its body is an answer too.
    let receiver = Webhook::new(|number, _| {
        if number == 0 {
            Answer::HeadOnly
        } else {
            Answer::Status(204)
        }
    })
    .await;
    world.puppet.allow(1);
    begun(&client, "hold", &receiver).await;
    let received = receiver.wait(3).await;
    assert_eq!(receiver.labels(), whole(0));
    let mut ids: Vec<&str> = received.iter().map(|one| one.id()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

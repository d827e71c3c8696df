//! Configurations that end: by their receiver, by their owner, and by being replaced.

use std::sync::Arc;

use a2ad::error::Kind;
use tokio::sync::Semaphore;

use super::{begun, delete, hook, on_a_file, one, whole};
use crate::support::engine::eventually;
use crate::support::webhook::{Answer, Webhook, a_while};
use crate::support::wire::{Wire, for_each_binding};

for_each_binding!(
    a_deleted_configuration_gets_nothing_more,
    a_replaced_configuration_goes_on_by_the_new_one,
    a_receiver_that_is_gone_ends_its_configuration,
);

async fn a_deleted_configuration_gets_nothing_more(wire: Wire) {
    let world = super::scenario().start().await;
    let client = world.client(wire);
    let receiver = Webhook::new(|_, _| Answer::Never).await;
    world.puppet.allow(1);
    let task = begun(&client, "steps 3", &receiver).await;
    receiver.wait(1).await;
    client.call(delete(&task.id, "c")).await.unwrap();
    // In the middle of the request.
    receiver.broken(1).await;
    world.puppet.allow(3);
    a_while().await;
    assert_eq!(receiver.received().len(), 1);
}

async fn a_replaced_configuration_goes_on_by_the_new_one(wire: Wire) {
    let world = super::scenario().start().await;
    let client = world.client(wire);
    let old = Webhook::new(|number, _| {
        if number == 0 {
            Answer::Status(200)
        } else {
            Answer::Never
        }
    })
    .await;
    let new = Webhook::good().await;
    world.puppet.allow(3);
    let task = begun(&client, "steps 2", &old).await;
    old.wait(2).await;
    client.call(hook(&task.id, "c", new.url("/new"))).await.unwrap();
    old.broken(1).await;
    let received = new.wait(4).await;
    assert_eq!(new.labels(), whole(2)[1..]);
    // What was under way comes again, and is known by its id.
    assert_eq!(received[0].id(), old.received()[1].id());
}

async fn a_receiver_that_is_gone_ends_its_configuration(wire: Wire) {
    let world = super::scenario().start().await;
    let client = world.client(wire);
    let receiver = Webhook::new(|number, _| Answer::Status(if number == 0 { 200 } else { 410 })).await;
    world.puppet.allow(4);
    let task = begun(&client, "steps 3", &receiver).await;
    receiver.wait(2).await;
    eventually(async || client.call(one(&task.id, "c")).await.is_err()).await;
    let gone = client.call(one(&task.id, "c")).await.unwrap_err();
    gone.is(Kind::TaskNotFound);
    a_while().await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_stop_lets_the_request_under_way_finish_and_nothing_comes_twice() {
    let mut world = on_a_file().start().await;
    let client = world.client(super::WIRE);
    let go = Arc::new(Semaphore::new(0));
    let held = go.clone();
    let receiver = Webhook::new(move |_, _| Answer::When(held.clone())).await;
    world.puppet.allow(1);
    begun(&client, "hold", &receiver).await;
    receiver.wait(1).await;
    world.stop();
    a_while().await;
    assert_eq!(receiver.received().len(), 1);
    go.add_permits(1);
    world.ended().await;
    assert_eq!(
        receiver.received().len(),
        1,
        "what waits is left to the next start"
    );
}

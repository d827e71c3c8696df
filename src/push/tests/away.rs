//! The database away for a while: nothing is lost, and what was sent is written down when it is back.

use std::sync::atomic::Ordering;

use super::watched::Watched;
use super::world::{Reply, World};
use super::*;

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_settled_when_the_database_is_back() {
    let world = World::new(PushSettings::default(), |_, _| Reply::After(s(2)));
    let outbox = Watched::new(world.outbox());
    world.start_on(outbox.clone());
    world.task("a", "t", URL, 2).await;
    tokio::time::sleep(s(1)).await;
    outbox.is_away.store(true, Ordering::Release);
    tokio::time::sleep(s(30)).await;
    assert_eq!(
        (world.receiver.sent().len(), world.deliveries().await.len()),
        (1, 2)
    );
    outbox.is_away.store(false, Ordering::Release);
    world.all_delivered().await;
    assert_eq!(world.receiver.sent().len(), 2, "nothing came twice");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_ran_out_while_the_database_was_away_is_sent_again() {
    let world = World::new(PushSettings::default(), |_, _| Reply::After(s(2)));
    let outbox = Watched::new(world.outbox());
    world.start_on(outbox.clone());
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(1)).await;
    outbox.is_away.store(true, Ordering::Release);
    tokio::time::sleep(s(300)).await;
    assert_eq!(world.pushes.report().lost, 1);
    outbox.is_away.store(false, Ordering::Release);
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!((sent.len(), &sent[0].id), (2, &sent[1].id));
}

#[tokio::test(start_paused = true)]
async fn settlements_gather_up_to_a_limit() {
    let settings = PushSettings {
        settle_batch_max: 5,
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::After(s(1)));
    let outbox = Watched::new(world.outbox());
    for number in 0..30 {
        world.task("a", &format!("t{number}"), URL, 1).await;
    }
    world.start_on(outbox.clone());
    world.all_delivered().await;
    assert_eq!(outbox.largest.load(Ordering::Acquire), 5);
    assert_eq!(world.receiver.sent().len(), 30);
}

//! Receivers that fail: everything comes again, with the same id and in the same order, and others don't wait for it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{SHORT, WIRE, begin, begun, hook, on_a_file, scenario, whole};
use crate::support::messages::task;
use crate::support::webhook::{Answer, Received, Webhook};

/// The deliveries without those that came again right behind themselves.
fn once(received: &[Received]) -> Vec<String> {
    let mut ids: Vec<(&str, String)> = received.iter().map(|one| (one.id(), one.label())).collect();
    ids.dedup();
    ids.into_iter().map(|(_, label)| label).collect()
}

/// Every first attempt fails so.
async fn comes_again_after(first: Answer) {
    let world = on_a_file()
        .set(|config| config.push.request_timeout_ms = SHORT.as_millis() as u64)
        .start()
        .await;
    let known = std::sync::Mutex::new(Vec::<String>::new());
    let answer = first.clone();
    let receiver = Webhook::new(move |_, received| {
        let mut known = known.lock().unwrap();
        if known.iter().any(|id| id == received.id()) {
            return Answer::Status(200);
        }
        known.push(received.id().to_owned());
        first.clone()
    })
    .await;
    world.puppet.allow(3);
    begun(&world.client(WIRE), "steps 2", &receiver).await;
    let received = receiver.wait(10).await;
    assert_eq!(once(&received), whole(2), "{answer:?}");
    for pair in received.chunks(2) {
        assert_eq!(
            (pair[0].id(), &pair[0].body),
            (pair[1].id(), &pair[1].body),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn what_is_answered_by_5xx_comes_again() {
    comes_again_after(Answer::Status(503)).await;
}

#[tokio::test]
async fn what_is_answered_by_4xx_comes_again() {
    comes_again_after(Answer::Status(404)).await;
}

#[tokio::test]
async fn what_has_no_answer_comes_again() {
    comes_again_after(Answer::Never).await;
}

#[tokio::test]
async fn what_is_half_closed_comes_again() {
    comes_again_after(Answer::HalfClosed).await;
}

#[tokio::test]
async fn what_is_answered_by_no_http_comes_again() {
    comes_again_after(Answer::Garbage).await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let elsewhere = Webhook::good().await;
    let location = format!("Location: {}", elsewhere.url("/inner"));
    comes_again_after(Answer::With(307, location)).await;
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_slow_receiver_holds_up_nobody_else() {
    let world = on_a_file().start().await;
    let client = world.client(WIRE);
    let go = Arc::new(Semaphore::new(0));
    let held = go.clone();
    let slow = Webhook::new(move |_, _| Answer::When(held.clone())).await;
    let quick = Webhook::good().await;
    world.puppet.allow(3);
    let both = task(
        client
            .call(begin("steps 2", hook("", "slow", slow.url("/"))))
            .await
            .unwrap(),
    );
    slow.wait(1).await;
    drop(both);
    world.puppet.allow(3);
    begun(&client, "steps 2", &quick).await;
    quick.wait(5).await;
    assert_eq!(quick.labels(), whole(2));
    assert_eq!(
        slow.received().len(),
        1,
        "one request of a configuration at a time"
    );
    go.add_permits(100);
    slow.wait(5).await;
    assert_eq!(slow.labels(), whole(2));
}

#[tokio::test]
async fn an_owner_and_a_host_have_their_share_of_requests() {
    for is_host in [false, true] {
        let world = scenario()
            .set(|config| {
                if is_host {
                    config.push.requests_per_host_max = 2;
                } else {
                    config.push.requests_per_owner_max = 2;
                }
            })
            .start()
            .await;
        let client = world.client(WIRE);
        let go = Arc::new(Semaphore::new(0));
        let held = go.clone();
        let receiver = Webhook::new(move |_, _| Answer::When(held.clone())).await;
        for number in 0..5 {
            let url = receiver.url(&format!("/{number}"));
            client.call(begin("hold", hook("", "c", url))).await.unwrap();
        }
        receiver.wait(2).await;
        crate::support::webhook::a_while().await;
        assert_eq!(receiver.received().len(), 2, "host: {is_host}");
        go.add_permits(100);
        receiver.wait(10).await;
    }
}

#[tokio::test]
async fn what_no_attempt_delivers_makes_room_for_what_follows() {
    let world = on_a_file()
        .set(|config| config.push.retry_span_s = 0)
        .start()
        .await;
    let receiver = Webhook::new(|number, _| Answer::Status(if number == 1 { 500 } else { 200 })).await;
    world.puppet.allow(2);
    begun(&world.client(WIRE), "steps 1", &receiver).await;
    let received = receiver.wait(4).await;
    assert_eq!(once(&received), whole(1), "the one that failed came once");
}

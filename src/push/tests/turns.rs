//! Who gets how much: owners, hosts, streams, and hosts that are away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::{Reply, World};
use super::*;

#[tokio::test(start_paused = true)]
async fn an_owner_with_many_webhooks_does_not_delay_another_one() {
    let settings = PushSettings {
        requests_max: 6,
        requests_per_owner_max: 4,
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::After(if sent.url.contains("busy") { s(10) } else { s(1) })
    });
    for number in 0..60 {
        let url = format!("https://busy{number}.example/");
        world.task("busy", &format!("b{number}"), &url, 1).await;
    }
    for number in 0..4 {
        world
            .task("calm", &format!("c{number}"), "https://calm.example/", 1)
            .await;
    }
    world.start();
    world.all_delivered().await;
    let sent = world.receiver.sent();
    let calm: Vec<_> = sent.iter().filter(|one| one.url.contains("calm")).collect();
    assert_eq!((sent.len(), calm.len()), (64, 4));
    // Two places are left to it, so that two turns are enough.
    assert!(calm.iter().all(|one| one.at < s(2)), "{calm:?}");
    assert_eq!(world.receiver.most("all"), 6);
    let all_took = sent.last().unwrap().at;
    assert!(all_took < s(10) * 60 / 4 * 2, "{all_took:?}");
}

#[tokio::test(start_paused = true)]
async fn limits_of_owners_and_hosts_hold() {
    let settings = PushSettings {
        requests_max: 20,
        requests_per_owner_max: 5,
        requests_per_host_max: 3,
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::After(s(1)));
    for number in 0..80 {
        let (owner, host) = (number % 4, number % 2);
        let url = format!("https://h{host}.example/");
        world
            .task(&format!("o{owner}"), &format!("t{number}"), &url, 2)
            .await;
    }
    world.start();
    world.all_delivered().await;
    assert_eq!(world.receiver.sent().len(), 160);
    for host in ["h0.example", "h1.example"] {
        assert_eq!(world.receiver.most(host), 3, "{host}");
    }
    let of_one_owner = PushSettings {
        requests_per_owner_max: 5,
        ..PushSettings::default()
    };
    let world = World::new(of_one_owner, |_, _| Reply::After(s(1)));
    for number in 0..30 {
        world
            .task(
                "o",
                &format!("t{number}"),
                &format!("https://h{number}.example/"),
                1,
            )
            .await;
    }
    world.start();
    world.all_delivered().await;
    assert_eq!(world.receiver.most("all"), 5);
}

#[tokio::test(start_paused = true)]
async fn streams_take_turns_and_each_has_one_request_at_a_time() {
    let settings = PushSettings {
        requests_max: 1,
        deliveries_per_claim_max: 2,
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::After(s(1)));
    for id in ["a", "b"] {
        world.task("o", id, &format!("https://{id}.example/"), 6).await;
    }
    world.start();
    world.all_delivered().await;
    let hosts: String = world
        .receiver
        .sent()
        .iter()
        .map(|one| one.url[8..9].to_owned())
        .collect();
    assert!(hosts == "aabbaabbaabb" || hosts == "bbaabbaabbaa", "{hosts}");
    assert_eq!(world.receiver.most("all"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_away_is_left_alone_and_then_tried_by_one_request() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let world = World::new(PushSettings::default(), move |sent, _| {
        let is_up = up.load(Ordering::Acquire) || sent.url.contains("other");
        if is_up {
            Reply::Status(200)
        } else {
            Reply::Fail(Error::Connect("refused".to_owned()))
        }
    });
    for number in 0..40 {
        world
            .task("o", &format!("t{number}"), "https://away.example/", 1)
            .await;
    }
    world.start();
    tokio::time::sleep(s(20)).await;
    let early = world.receiver.sent().len();
    assert!((8..=40).contains(&early), "{early}");
    world.task("o", "other", "https://other.example/", 3).await;
    tokio::time::sleep(s(1)).await;
    let to_other = world
        .receiver
        .sent()
        .iter()
        .filter(|one| one.url.contains("other"))
        .count();
    assert_eq!(to_other, 3, "others are not affected");
    tokio::time::sleep(s(300)).await;
    let probes = world.receiver.sent().len() - early - 3;
    assert!((5..=12).contains(&probes), "one in half a minute: {probes}");
    is_up.store(true, Ordering::Release);
    world.all_delivered().await;
    assert_eq!(world.pushes.report().delivered, 43);
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_receivers_fail_takes_their_host_from_nobody() {
    let world = World::new(PushSettings::default(), |sent, _| match sent.url.as_str() {
        "https://shared.example/good" => Reply::After(s(1)),
        _ => Reply::Status(503),
    });
    for number in 0..40 {
        world
            .task("a", &format!("a{number}"), "https://shared.example/bad", 1)
            .await;
    }
    world.start();
    tokio::time::sleep(s(2)).await;
    let (before, url) = (world.receiver.sent().len(), "https://shared.example/good");
    world.task("b", "b", url, 5).await;
    tokio::time::sleep(s(6)).await;
    let sent = world.receiver.sent();
    assert_eq!(sent.iter().filter(|one| one.url == url).count(), 5);
    assert_eq!(sent.len(), before + 5, "the owner himself waits");
}

/// What waits for a host comes within a quarter of the pause after it, and not a whole pause later.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_back_gets_what_waited_soon() {
    let settings = PushSettings {
        breaker_failures: 1,
        breaker_pause: s(3_000),
        backoff_max: s(1),
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::Status(if sent.at < s(2_000) { 503 } else { 200 })
    });
    for number in 0..10 {
        world
            .task("o", &format!("t{number}"), "https://away.example/", 1)
            .await;
    }
    world.start();
    tokio::time::sleep(s(3_800)).await;
    assert_eq!(world.deliveries().await, []);
}

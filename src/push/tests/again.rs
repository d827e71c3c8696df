//! A stream that is claimed again while an older claim of it is still being sent, and claims that have no place.

use std::sync::atomic::Ordering;

use super::watched::Watched;
use super::world::{Reply, World};
use super::*;
use crate::repository::{DeliveryFilter, PushRepository as _};

#[tokio::test(start_paused = true)]
async fn what_an_operator_sends_anew_takes_the_place_of_what_is_under_way() {
    let world = World::new(PushSettings::default(), |sent, before| {
        match (sent.body.starts_with("{\"task\":"), before) {
            (true, 0) => Reply::Never,
            (true, 1) => Reply::After(s(1)),
            _ => Reply::Status(200),
        }
    });
    world.start();
    world.task("a", "t", URL, 3).await;
    tokio::time::sleep(s(1)).await;
    let all = DeliveryFilter::default();
    world.repository.redeliver(&all, None, 9).await.unwrap();
    world.pushes.ring();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((world.receiver.sent().len(), world.receiver.dropped()), (2, 1));
    world.all_delivered().await;
    assert_eq!(world.receiver.most(URL), 1);
    let ids: Vec<String> = world.receiver.sent().into_iter().map(|one| one.id).collect();
    assert_eq!((ids.len(), &ids[0]), (4, &ids[1]));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_place_waits_and_holds_up_nobody() {
    let settings = PushSettings {
        requests_per_host_max: 4,
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::After(if sent.url.contains("old") { s(10) } else { s(1) })
    });
    for number in 0..20 {
        world
            .task("a", &format!("t{number}"), "https://old.example/", 1)
            .await;
    }
    world.task("b", "u", "https://other.example/", 1).await;
    let outbox = Watched::new(world.outbox());
    outbox.is_hostless.store(true, Ordering::Release);
    world.start_on(outbox.clone());
    tokio::time::sleep(s(300)).await;
    let sent = world.receiver.sent();
    assert_eq!(sent.len(), 21);
    assert_eq!(world.receiver.most("old.example"), 4);
    let other = sent.iter().find(|one| one.url.contains("other")).unwrap();
    assert!(other.at < s(5), "{other:?}");
    let claims = outbox.claims.load(Ordering::Acquire);
    assert!(claims < 300, "{claims}");
}

/// However much waits that has its share: it is looked for by reading, and not without pause.
#[tokio::test(start_paused = true)]
async fn a_backlog_that_is_left_alone_costs_little() {
    let settings = PushSettings {
        requests_per_owner_max: 4,
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::After(s(15)));
    for number in 0..50 {
        let url = format!("https://h{number}.example/");
        world.task("a", &format!("t{number}"), &url, 1).await;
    }
    let outbox = Watched::slow(world.outbox(), [Duration::from_millis(100), Duration::ZERO]);
    world.start_on(outbox.clone());
    tokio::time::sleep(s(1)).await;
    let so_far = || [&outbox.claims, &outbox.looks].map(|count| count.load(Ordering::Acquire));
    let [claims, looks] = so_far();
    for _ in 0..10_000 {
        world.pushes.ring();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let [more_claims, more_looks] = so_far();
    assert_eq!((claims, more_claims), (2, 2), "no claim for what has no place");
    let share = 10_000 / (5 * 100);
    assert!(
        (share / 2..=share + 1).contains(&(more_looks - looks)),
        "a fifth of the time: {}",
        more_looks - looks
    );
}

/// What is not left alone is claimed while much is, with pauses between the looks that have to go past it, and soon enough.
#[tokio::test(start_paused = true)]
async fn others_are_served_past_a_backlog_at_a_measured_pace() {
    const OTHERS: usize = 160;
    let settings = PushSettings {
        requests_per_owner_max: 32,
        requests_per_host_max: 32,
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::After(if sent.url.contains("busy") { s(14) } else { s(0) })
    });
    for number in 0..100 {
        let url = format!("https://busy{number}.example/");
        world.task("a", &format!("a{number}"), &url, 1).await;
    }
    for number in 0..OTHERS {
        let url = format!("https://h{number}.example/");
        world.task("b", &format!("b{number}"), &url, 1).await;
    }
    let look = Duration::from_millis(100);
    let outbox = Watched::slow(world.outbox(), [look, Duration::ZERO]);
    world.start_on(outbox.clone());
    tokio::time::sleep(s(12)).await;
    let sent = world.receiver.sent();
    let others: Vec<Duration> = sent
        .iter()
        .filter(|one| !one.url.contains("busy"))
        .map(|one| one.at)
        .collect();
    assert_eq!((sent.len(), others.len()), (32 + OTHERS, OTHERS));
    // Two looks fill the owner, each of the others is for half of a share of the rest and pauses four times as long.
    let (first, last) = (others[0], others[OTHERS - 1]);
    let turns = (OTHERS / 16 - 1) as u32;
    let paces = (last - first).as_millis() / look.as_millis();
    assert!(
        (u128::from(5 * turns)..=u128::from(5 * turns + 5)).contains(&paces),
        "{first:?} to {last:?}"
    );
}

/// Claims that have to go past a backlog for the few that are due come as seldom as looks that find nothing.
#[tokio::test(start_paused = true)]
async fn the_few_that_are_due_beside_a_backlog_are_claimed_together() {
    let settings = PushSettings {
        requests_per_owner_max: 32,
        requests_per_host_max: 32,
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::After(if sent.url.contains("busy") { s(14) } else { s(0) })
    });
    for number in 0..100 {
        let url = format!("https://busy{number}.example/");
        world.task("a", &format!("a{number}"), &url, 1).await;
    }
    let outbox = Watched::slow(world.outbox(), [Duration::ZERO, Duration::from_millis(100)]);
    world.start_on(outbox.clone());
    tokio::time::sleep(s(1)).await;
    let before = outbox.claims.load(Ordering::Acquire);
    for number in 0..100 {
        let url = format!("https://h{number}.example/");
        world.task("b", &format!("b{number}"), &url, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let claims = outbox.claims.load(Ordering::Acquire) - before;
    tokio::time::sleep(s(1)).await;
    assert_eq!(world.receiver.sent().len(), 32 + 100);
    assert!((15..=21).contains(&claims), "a fifth of the time: {claims}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_in_the_log_is_over_with_its_task_or_with_the_span() {
    let settings = PushSettings {
        retry_span: s(4_000),
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::Status(200));
    let noted = World::new(PushSettings::default(), |_, _| Reply::Status(200));
    noted.task("a", "gone", URL, 3).await;
    noted.task("a", "short", "https://b.example/", 3).await;
    world.task("a", "short", "https://b.example/", 1).await;
    world.start_on(noted.outbox());
    tokio::time::sleep(s(3_000)).await;
    let left = async |state| {
        let left = noted.deliveries().await;
        assert!(left.iter().all(|one| one.state == state), "{left:?}");
        let left = left.into_iter().map(|one| {
            let task_id = one.key.stream.task_id.to_string();
            (task_id, one.key.generation, one.attempts)
        });
        left.collect::<Vec<_>>()
    };
    let short = |attempts| [2, 3].map(|generation| ("short".to_owned(), generation, attempts));
    assert_eq!(left(DeliveryState::Waiting).await, short(0));
    assert_eq!(world.receiver.sent().len(), 1);
    assert_eq!(world.pushes.report().postponed, 1);

    // It holds nobody up for ever.
    tokio::time::sleep(s(1_010)).await;
    let dead = left(DeliveryState::Dead).await;
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert_eq!(world.receiver.sent().len(), 1);
    assert_eq!(world.pushes.report().dead, 2);
}

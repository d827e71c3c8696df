//! A stream that is claimed again while an older claim of it is still being sent, and claims that have no place.

use std::sync::atomic::Ordering;

use super::watched::{Pace, Watched};
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
    let pace = Pace {
        look: Duration::from_millis(100),
        ..Pace::default()
    };
    let outbox = Watched::slow(world.outbox(), pace);
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

/// A backlog of one owner who has his share of what is under way, for as long as a test lasts.
async fn busy_world() -> World {
    let settings = PushSettings {
        requests_per_owner_max: 32,
        requests_per_host_max: 32,
        request_timeout: s(50),
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::After(if sent.url.contains("busy") { s(45) } else { s(0) })
    });
    for number in 0..100 {
        let url = format!("https://busy{number}.example/");
        world.task("a", &format!("a{number}"), &url, 1).await;
    }
    world
}

/// When what is not for the backlog was sent.
fn others(world: &World) -> Vec<Duration> {
    let sent = world.receiver.sent().into_iter();
    let others = sent.filter(|one| !one.url.contains("busy"));
    others.map(|one| one.at).collect()
}

/// What is not left alone is claimed while much is, with pauses between the looks that have to go past it, and soon enough:
/// however long the finding takes, not much of the time that the dispatcher may sleep passes in between.
#[tokio::test(start_paused = true)]
async fn others_are_served_past_a_backlog_at_a_measured_pace() {
    const OTHERS: usize = 160;
    for (look_ms, pause_ms) in [(20, 80), (50, 200), (100, 250), (400, 250)] {
        let world = busy_world().await;
        for number in 0..OTHERS {
            let url = format!("https://h{number}.example/");
            world.task("b", &format!("b{number}"), &url, 1).await;
        }
        let pace = Pace {
            look: Duration::from_millis(look_ms),
            ..Pace::default()
        };
        world.start_on(Watched::slow(world.outbox(), pace));
        tokio::time::sleep(s(12)).await;
        let others = others(&world);
        assert_eq!((world.receiver.sent().len(), others.len()), (32 + OTHERS, OTHERS));
        // Two looks fill the owner, each of the others is for half of a share of the rest.
        let turns = (OTHERS / 16 - 1) as u128;
        let one = u128::from(look_ms + pause_ms);
        let took = (others[OTHERS - 1] - others[0]).as_millis();
        assert!(
            (turns * one..=(turns + 1) * one).contains(&took),
            "{look_ms} ms: {took} ms"
        );
    }
}

/// Sends for others one after the other beside a backlog; how many claims that took, and the longest that one had to wait.
async fn one_by_one(pace: Pace) -> (usize, Duration) {
    let world = busy_world().await;
    let outbox = Watched::slow(world.outbox(), pace);
    world.start_on(outbox.clone());
    tokio::time::sleep(s(2)).await;
    let before = outbox.claims.load(Ordering::Acquire);
    let mut longest = Duration::ZERO;
    for number in 0..100 {
        let url = format!("https://h{number}.example/");
        let began = tokio::time::Instant::now();
        world.task("b", &format!("b{number}"), &url, 1).await;
        while others(&world).len() <= number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest = longest.max(began.elapsed());
        tokio::time::sleep_until(began + Duration::from_millis(100)).await;
    }
    (outbox.claims.load(Ordering::Acquire) - before, longest)
}

/// Claims that have to go past a backlog for the few that are due come as seldom as looks that find nothing. That a claim
/// took long for other reasons, such as its turn or the commit, delays none.
#[tokio::test(start_paused = true)]
async fn the_few_that_are_due_beside_a_backlog_wait_for_what_finding_costs_and_for_nothing_else() {
    let ms = Duration::from_millis;
    let busy = Pace {
        busy: ms(30),
        ..Pace::default()
    };
    let (claims, longest) = one_by_one(busy).await;
    assert_eq!(claims, 100);
    // A look that is under way, one more, and the claim.
    assert!(longest <= ms(3 * 30 + 10), "{longest:?}");
    let (claims, longest) = one_by_one(Pace { find: ms(50), ..busy }).await;
    assert_eq!(claims, 100);
    let least = ms(4 * 50 + 50);
    assert!(
        (least..=least + ms(3 * 30 + 10)).contains(&longest),
        "{longest:?}"
    );
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

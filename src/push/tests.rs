//! What the dispatcher promises, on a clock that stands still.

mod again;
mod away;
mod turns;
mod watched;
mod world;

use std::time::Duration;

use self::world::{Reply, World};
use super::*;
use crate::egress::{Error, Refusal};
use crate::repository::conformance::scope;
use crate::repository::{DeliveryState, TaskRepository as _};

const URL: &str = "https://a.example/hook";

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A receiver that never answers the first attempt at a delivery.
fn silent_at_first() -> World {
    World::new(PushSettings::default(), |_, before| match before {
        0 => Reply::Never,
        _ => Reply::Status(200),
    })
}

#[tokio::test(start_paused = true)]
async fn deliveries_come_in_order_and_again_with_the_same_id() {
    let world = World::new(PushSettings::default(), |_, before| {
        Reply::Status(if before < 2 { 500 } else { 200 })
    });
    world.start();
    world.task("a", "t", URL, 5).await;
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!(sent.len(), 15);
    for attempts in sent.chunks(3) {
        let first = &attempts[0];
        assert!(
            attempts
                .iter()
                .all(|one| (&one.id, &one.body) == (&first.id, &first.body))
        );
        assert!(attempts[1].at - first.at <= s(1) + Duration::from_millis(100));
        assert!(attempts[2].at - attempts[1].at <= s(2) + Duration::from_millis(100));
    }
    let bodies: Vec<&str> = sent.iter().step_by(3).map(|one| one.body.as_str()).collect();
    assert!(
        bodies[0].starts_with("{\"task\":") && bodies[1].contains("chunk 2"),
        "{bodies:?}"
    );
    assert!(
        bodies[3].contains("chunk 4") && bodies[4].contains("COMPLETED"),
        "{bodies:?}"
    );
    let report = world.pushes.report();
    assert_eq!((report.delivered, report.retried, report.dead), (5, 10, 0));
    assert_eq!(report.latencies.iter().sum::<u64>(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_says_when_to_come_again() {
    let world = World::new(PushSettings::default(), |_, before| match before {
        0 => Reply::Later(503, "100"),
        1 => Reply::Later(429, "99999999"),
        _ => Reply::Status(200),
    });
    world.start();
    world.task("a", "t", URL, 1).await;
    world.all_delivered().await;
    let times: Vec<Duration> = world.receiver.sent().iter().map(|one| one.at).collect();
    let close = |found: Duration, wanted: Duration| found >= wanted && found < wanted + s(1);
    assert!(close(times[1] - times[0], s(100)), "{times:?}");
    assert!(
        close(times[2] - times[1], s(3_600)),
        "cut to the limit: {times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_the_whole_span_is_a_dead_letter() {
    let settings = PushSettings {
        retry_span: s(600),
        breaker_failures: 1_000_000,
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        Reply::Status(if sent.body.starts_with("{\"task\":") {
            404
        } else {
            200
        })
    });
    world.start();
    world.task("a", "t", URL, 2).await;
    tokio::time::sleep(s(700)).await;
    let left = world.deliveries().await;
    assert_eq!(left.len(), 1, "{left:?}");
    let (dead, sent) = (&left[0], world.receiver.sent());
    assert_eq!((dead.key.generation, dead.state), (1, DeliveryState::Dead));
    assert_eq!(dead.failure.as_ref().unwrap().status, Some(404));
    assert_eq!(dead.attempts as usize, sent.len() - 1);
    // The last attempt is at the end, and what follows waited for it.
    let last = sent[sent.len() - 2].at;
    assert!(last >= s(600) && last < s(601), "{last:?}");
    assert!(sent.last().unwrap().at >= last);
    assert_eq!(
        (world.pushes.report().dead, world.pushes.report().delivered),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_ends_its_configuration() {
    let world = World::new(PushSettings::default(), |_, _| Reply::Status(410));
    world.start();
    world.task("a", "t", URL, 3).await;
    world.all_delivered().await;
    let left = world
        .repository
        .push_configs(&scope("a"), "t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(left, []);
    assert_eq!(world.receiver.sent().len(), 1);
    assert_eq!(world.pushes.report().ended, 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_refuses_is_tried_again_and_counted() {
    let world = World::new(PushSettings::default(), |_, before| match before {
        0 => Reply::Fail(Error::Refused(Refusal::Host)),
        1 => Reply::Fail(Error::Timeout),
        _ => Reply::Status(200),
    });
    world.start();
    world.task("a", "t", URL, 1).await;
    world.all_delivered().await;
    let report = world.pushes.report();
    assert_eq!((report.refused, report.retried, report.delivered), (1, 2, 1));
}

/// It comes soon again, however often: the delivery and its host have no part in it.
#[tokio::test(start_paused = true)]
async fn what_this_machine_has_no_place_for_is_no_attempt() {
    let world = World::new(PushSettings::default(), |_, before| match before {
        0..20 => Reply::Fail(Error::Local("all connections are in use".to_owned())),
        _ => Reply::Status(200),
    });
    world.start();
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(10)).await;
    let waiting = world.deliveries().await;
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 0), "{waiting:?}");
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!(sent.len(), 21);
    for pair in sent.windows(2) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= s(1) && pause < s(2), "{pause:?}");
    }
    let report = world.pushes.report();
    assert_eq!((report.postponed, report.retried, report.delivered), (20, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_never_gets_a_place_is_a_dead_letter_at_the_end_of_the_span() {
    let settings = PushSettings {
        retry_span: s(60),
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| {
        Reply::Fail(Error::Local("all connections are in use".to_owned()))
    });
    world.start();
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(62)).await;
    let left = world.deliveries().await;
    assert_eq!((left.len(), left[0].state), (1, DeliveryState::Dead), "{left:?}");
    let cause = &left[0].failure.as_ref().unwrap().cause;
    assert!(cause.contains("egress.connections_max"), "{cause}");
    let last = world.receiver.sent().last().unwrap().at;
    assert!(last >= s(60), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_has_its_time() {
    let world = silent_at_first();
    world.start();
    world.task("a", "t", URL, 1).await;
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert!(sent[1].at >= s(15) && sent[1].at <= s(17), "{sent:?}");
    assert_eq!(world.receiver.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_wanted_cost_no_request() {
    let world = World::new(PushSettings::default(), |_, _| Reply::Status(200));
    world.start();
    let url = format!("{URL}#a2ad-push-events=terminal");
    world.task("a", "t", &url, 40).await;
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].body.contains("COMPLETED"), "{sent:?}");
    let report = world.pushes.report();
    assert_eq!((report.unwanted, report.delivered), (39, 1));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_deleted_is_dropped_in_the_middle_of_a_request() {
    let world = World::new(PushSettings::default(), |_, _| Reply::Never);
    world.start();
    world.task("a", "t", URL, 3).await;
    tokio::time::sleep(s(1)).await;
    let owner = scope("a");
    assert!(
        world
            .repository
            .delete_push_config(&owner, "t", "c")
            .await
            .unwrap()
    );
    world.pushes.stop("t", "c");
    world.pushes.idle().await;
    assert_eq!((world.receiver.sent().len(), world.receiver.dropped()), (1, 1));
    tokio::time::sleep(s(3_600)).await;
    assert_eq!(world.receiver.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_leaves_the_rest_to_others() {
    let world = World::new(PushSettings::default(), |_, _| Reply::After(s(5)));
    world.start();
    world.task("a", "t", URL, 3).await;
    tokio::time::sleep(s(1)).await;
    world.shutdown.drain();
    world.pushes.idle().await;
    assert_eq!((world.receiver.sent().len(), world.receiver.dropped()), (1, 0));
    assert_eq!(world.deliveries().await.len(), 2);
    let ended = tokio::time::Instant::now();
    let next = world.next();
    next.start();
    next.all_delivered().await;
    // Nobody waited for a claim to run out.
    assert!(ended.elapsed() < s(11), "{:?}", ended.elapsed());
    assert_eq!(world.receiver.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn claims_under_way_can_be_handed_back() {
    let world = silent_at_first();
    world.start();
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(1)).await;
    world.shutdown.drain();
    world.pushes.hand_back(&world.outbox()).await.unwrap();
    world.shutdown.abort();
    let ended = tokio::time::Instant::now();
    let next = world.next();
    next.start();
    next.all_delivered().await;
    assert!(ended.elapsed() < s(1), "{:?}", ended.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_had_claimed_is_delivered_when_the_claim_runs_out() {
    let world = silent_at_first();
    world.start();
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(1)).await;
    world.shutdown.abort();
    let next = world.next();
    next.start();
    next.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!((sent.len(), &sent[0].id), (2, &sent[1].id));
    assert!(sent[1].at >= s(60) && sent[1].at < s(62), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_another_process_wrote_is_found_without_a_bell() {
    let world = World::new(PushSettings::default(), |_, _| Reply::Status(200));
    let other = world.next();
    other.start();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // It rings the bell of this process, which delivers nothing.
    world.task("a", "t", URL, 1).await;
    world.all_delivered().await;
    let at = world.receiver.sent()[0].at;
    assert!(
        at >= Duration::from_millis(500) && at <= Duration::from_millis(1_600),
        "{at:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn reports_say_now_and_then_what_waits() {
    let settings = PushSettings {
        report_interval: s(7),
        ..PushSettings::default()
    };
    let world = World::new(settings, |sent, _| {
        if sent.url.contains("slow") {
            Reply::After(s(14))
        } else {
            Reply::Status(500)
        }
    });
    world.start();
    world.task("a", "t", URL, 3).await;
    world.task("a", "u", "https://slow.example/", 1).await;
    tokio::time::sleep(s(6)).await;
    assert_eq!(
        (world.pushes.report().waiting, world.pushes.report().under_way),
        (0, 0)
    );
    tokio::time::sleep(s(2)).await;
    let report = world.pushes.report();
    assert_eq!((report.waiting, report.dead_letters), (4, 0));
    assert!((1..=2).contains(&report.under_way), "{report:?}");
}

//! What waits in a receiver, for how long, and what comes of it. Time is tokio's and stands still but for timers.

use std::convert::Infallible;
use std::time::Duration;

use a2ad::client::receiver::{BuildError, ReceiverBuilder, ReceiverSettings, Target};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::header;
use tower::ServiceExt as _;

use super::{Bench, Sent, URL, key};

fn small() -> ReceiverSettings {
    ReceiverSettings {
        queue_max: 1,
        requests_max: 3,
        accept_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(7),
        retry_after: Duration::from_secs(3),
        ..ReceiverSettings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_comes_again() {
    let (key, mut bench) = (key(1), Bench::new());
    let sending = bench.send(Sent::new(&key, "id-1").request());
    let dropping = async { drop(bench.notifications.next().await) };
    let (response, ()) = tokio::join!(sending, dropping);
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()[header::RETRY_AFTER]
        ),
        (503, &"5".parse().unwrap())
    );
    bench.accepted(Sent::new(&key, "id-1").request()).await;
}

#[tokio::test(start_paused = true)]
async fn when_nobody_takes_what_came_the_sender_is_told_to_come_again() {
    let key = key(1);
    let mut bench = Bench::with(small(), |builder| builder);
    let began = tokio::time::Instant::now();
    // One has the only place in the queue, the other one waits for it.
    let (first, second) = tokio::join!(
        bench.send(Sent::new(&key, "id-1").request()),
        bench.send(Sent::new(&key, "id-2").request())
    );
    for response in [first, second] {
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
    }
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    // Too late for its sender, but it is taken: when it comes again there is nothing to do.
    let mut late = bench.notifications.next().await.unwrap();
    assert_eq!(late.delivery_id.as_deref(), Some("id-1"));
    assert!(late.accept().await.unwrap());
    assert_eq!(bench.refused(Sent::new(&key, "id-1").request()).await.0, 200);
    bench.accepted(Sent::new(&key, "id-2").request()).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_twice_before_it_is_accepted_is_new_once() {
    let (key, mut bench) = (key(1), Bench::new());
    let [first, second] = [0, 1].map(|_| bench.send(Sent::new(&key, "id-1").request()));
    let mut sending = Box::pin(async { tokio::join!(first, second) });
    assert!(sending.as_mut().now_or_never().is_none());
    let taking = async {
        let mut is_new = Vec::new();
        for _ in 0..2 {
            is_new.push(bench.notifications.next().await.unwrap().accept().await.unwrap());
        }
        is_new
    };
    let ((first, second), is_new) = tokio::join!(sending, taking);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    assert_eq!(is_new, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_looked_at_have_a_limit() {
    let key = key(1);
    let mut bench = Bench::with(small(), |builder| builder);
    let mut waiting: Vec<_> = (0..3)
        .map(|n| Box::pin(bench.send(Sent::new(&key, &format!("id-{n}")).request())))
        .collect();
    for sending in &mut waiting {
        assert!(sending.as_mut().now_or_never().is_none());
    }
    let one_more = bench.send(Sent::new(&key, "id-3").request()).now_or_never();
    assert_eq!(one_more.expect("an answer at once").status(), 503);
    // Who goes away makes room.
    drop(waiting);
    let mut stale = bench.notifications.next().await.unwrap();
    assert!(stale.accept().await.unwrap());
    bench.accepted(Sent::new(&key, "id-3").request()).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time() {
    let key = key(1);
    let mut bench = Bench::with(small(), |builder| builder);
    let began = tokio::time::Instant::now();
    let start = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
    let body = Body::from_stream(start.chain(stream::pending()));
    let request = Sent::new(&key, "id-1").request().map(|_| body);
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    bench.is_quiet();
}

#[tokio::test(start_paused = true)]
async fn without_anybody_who_listens_there_is_no_room() {
    let key = key(1);
    let mut bench = Bench::new();
    bench.notifications = Bench::new().notifications;
    let response = bench.send(Sent::new(&key, "id-1").request()).await;
    assert_eq!(response.status(), 503);
}

#[test]
fn a_limit_of_zero_is_refused() {
    for (name, settings) in [
        (
            "queue_max",
            ReceiverSettings {
                queue_max: 0,
                ..small()
            },
        ),
        (
            "requests_max",
            ReceiverSettings {
                requests_max: 0,
                ..small()
            },
        ),
        (
            "deliveries_max",
            ReceiverSettings {
                deliveries_max: 0,
                ..small()
            },
        ),
    ] {
        let builder = ReceiverBuilder::new(Target::url(URL).unwrap()).accept_unsigned();
        assert_eq!(
            builder.settings(settings).build().err(),
            Some(BuildError::Zero(name))
        );
    }
}

//! Streams of the client library over wires that break, against a server of ours: their readers don't notice.

mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::client::layers::{LayerSettings, stack};
use a2ad::client::streams::Accumulator;
use a2ad::client::transport::Transport;
use a2ad::client::{Answer, Call, Client, Event, EventStream, Instance, Reply, Request};
use a2ad::error::Kind;
use a2ad::pb::Task;
use a2ad::pb::stream_response::Payload;
use futures_util::StreamExt as _;
use tower::{ServiceExt as _, service_fn};

use crate::sockets::soon;
use crate::support::agents::{BINDINGS, Writer, eager, instance};
use crate::support::cutter::Cutter;
use crate::support::messages::{get, send, subscribe};
use crate::support::random::Random;
use crate::support::world::{Scenario, World};

async fn world() -> World {
    Scenario::new().hosting(Writer::hosted()).start().await
}

fn client(instance: Instance, settings: &LayerSettings) -> Client {
    let target = (*instance.target).clone();
    Client::new(target, stack(vec![instance], settings, Vec::new()))
}

async fn all(events: EventStream) -> Vec<Event> {
    soon(
        "the end of a stream",
        events.map(|event| event.unwrap()).collect(),
    )
    .await
}

fn sum(events: &[Event]) -> Task {
    let mut all = Accumulator::new(usize::MAX);
    for event in events {
        all.add(event.response.clone()).unwrap();
    }
    all.into_task().unwrap()
}

fn id(events: &[Event]) -> String {
    sum(&events[..1]).id
}

/// The same agent as one that numbers nothing: of another runtime.
fn without_numbers(instance: Instance) -> Instance {
    let transport = instance.transport.map_request(|mut call: Call| {
        if let Request::SubscribeToTask(_, generation) = &mut call.request {
            *generation = None;
        }
        call
    });
    let transport = transport.map_response(|reply: Reply| match reply.answer {
        Answer::Events(events) => Reply {
            answer: Answer::Events(EventStream::new(events.map(|event| {
                let event = event?;
                Ok(Event {
                    generation: None,
                    ..event
                })
            }))),
            ..reply
        },
        _ => reply,
    });
    Instance {
        transport: Transport::new(transport),
        ..instance
    }
}

/// Every stream is cut three times in a row, from the first bytes of the connection to its last ones.
#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_whole() {
    let world = world().await;
    for binding in BINDINGS {
        let wire = Cutter::start(world.address).await;
        let direct = client(instance(world.address, binding, "writer").await, &eager());
        let uncut = client(instance(wire.address, binding, "writer").await, &eager());
        let events = all(uncut.send_streaming(send("writer", "m", "7 30 0")).await.unwrap()).await;
        assert_eq!(events.len(), 32);
        wire.cut_now();
        let bytes = soon("the figures of a wire", async {
            loop {
                match wire.passed().last() {
                    Some(bytes) => return *bytes,
                    None => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        let (mut cuts, settings) = (0, eager());
        for limit in (1..bytes).step_by(1 + bytes / 60) {
            // The turn before may have needed fewer cuts, and a connection of it would not be cut.
            wire.cut_after(&[]);
            let client = client(instance(wire.address, binding, "writer").await, &settings);
            wire.cut_after(&[limit, limit, limit]);
            let order = format!("{limit} 30 300");
            let seen = client.send_streaming(send("writer", "m", &order)).await.unwrap();
            let seen = all(seen).await;
            let behind = direct
                .subscribe(subscribe("writer", &id(&seen)), Some(0))
                .await
                .unwrap();
            assert_eq!(seen, all(behind).await, "{binding:?} cut after {limit} bytes");
            cuts += 1;
        }
        let report = settings.metrics.report();
        assert!(cuts >= 50 && report.resumptions >= cuts / 2, "{cuts} {report:?}");
        eprintln!(
            "{binding:?}: {cuts} limits up to {bytes} bytes, {} resumptions, {} retries",
            report.resumptions, report.retries
        );
    }
}

/// Without numbers a reader can miss what was said in between; all else adds up to the task, and comes once.
#[tokio::test]
async fn a_stream_without_numbers_that_is_cut_anywhere_adds_up() {
    let world = world().await;
    let mut random = Random::from_environment();
    for binding in BINDINGS {
        let wire = Cutter::start(world.address).await;
        let direct = client(instance(world.address, binding, "writer").await, &eager());
        let settings = eager();
        for _ in 0..60 {
            // The turn before may have needed fewer cuts.
            wire.cut_after(&[]);
            let fresh = without_numbers(instance(wire.address, binding, "writer").await);
            let client = client(fresh, &settings);
            let cuts: Vec<usize> = (0..3).map(|_| 300 + random.below(2_500) as usize).collect();
            wire.cut_after(&cuts);
            let order = format!("{} 30 300", random.below(1 << 40));
            let seen = client.send_streaming(send("writer", "m", &order)).await.unwrap();
            let seen = all(seen).await;
            let mut task = direct.task(get("writer", &id(&seen))).await.unwrap();
            let mut got = sum(&seen);
            (got.history, task.history) = (Vec::new(), Vec::new());
            assert_eq!(got, task, "{order} cut after {cuts:?} bytes");
            let whole = |event: &&Event| matches!(event.response.payload, Some(Payload::Task(_)));
            assert_eq!(seen.iter().filter(whole).count(), 1);
        }
        let report = settings.metrics.report();
        assert!(report.resumptions > 60, "{report:?}");
    }
}

/// A wire that breaks while nothing is said.
#[tokio::test]
async fn a_silent_stream_goes_on_behind_a_cut() {
    let world = world().await;
    for binding in BINDINGS {
        let wire = Cutter::start(world.address).await;
        let settings = eager();
        let client = client(instance(wire.address, binding, "puppet").await, &settings);
        let mut events = client
            .send_streaming(send("puppet", "m", "steps 2"))
            .await
            .unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            seen.push(soon("an event", events.next()).await.unwrap().unwrap());
        }
        for step in 1..=3_u64 {
            let before = settings.metrics.report().resumptions;
            wire.cut_now();
            // The next event comes behind the cut, once somebody listens again.
            let next = async {
                let mut next = events.next();
                loop {
                    tokio::select! {
                        event = &mut next => return event,
                        () = tokio::task::yield_now() => {}
                    }
                    if settings.metrics.report().resumptions > before {
                        world.puppet.allow(1);
                        return next.await;
                    }
                }
            };
            let event = soon("an event behind the cut", next).await.unwrap().unwrap();
            assert_eq!(event.generation, Some(2 + step));
            seen.push(event);
        }
        assert!(soon("the end", events.next()).await.is_none());
        assert_eq!(settings.metrics.report().resumptions, 3);
        let task = client.task(get("puppet", &id(&seen))).await.unwrap();
        assert_eq!(sum(&seen), task);
    }
}

/// What a reader adds up is what the server has.
#[tokio::test]
async fn what_a_stream_adds_up_to_is_the_task_of_the_server() {
    let world = world().await;
    let mut random = Random::from_environment();
    for binding in BINDINGS {
        let client = client(
            instance(world.address, binding, "writer").await,
            &LayerSettings::default(),
        );
        for _ in 0..100 {
            let order = format!("{} {} 0", random.below(1 << 40), random.below(60));
            let events = client.send_streaming(send("writer", "m", &order)).await.unwrap();
            let events = all(events).await;
            let task = client.task(get("writer", &id(&events))).await.unwrap();
            assert_eq!(sum(&events), task, "{order}");
        }
    }
}

#[tokio::test]
async fn a_task_that_is_gone_ends_the_stream_with_its_error() {
    let world = world().await;
    let (wire, other) = (Cutter::start(world.address).await, self::world().await);
    for binding in BINDINGS {
        let alive = instance(wire.address, binding, "puppet").await;
        let elsewhere = instance(other.address, binding, "puppet").await;
        // The first call goes to the server that has the task, those behind it to one that does not know it.
        let (calls, first) = (Arc::new(AtomicUsize::new(0)), alive.transport.clone());
        let transport = service_fn(move |call: Call| {
            let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            let to = if is_first { &first } else { &elsewhere.transport };
            to.clone().oneshot(call)
        });
        let forgetful = Instance {
            transport: Transport::new(transport),
            ..alive
        };
        let request = send("puppet", "m", "hold");
        let mut events = client(forgetful, &eager()).send_streaming(request).await.unwrap();
        for _ in 0..2 {
            soon("an event", events.next()).await.unwrap().unwrap();
        }
        wire.cut_now();
        let error = soon("an error", events.next()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Some(Kind::TaskNotFound), "{error}");
        assert!(events.next().await.is_none());
    }
}

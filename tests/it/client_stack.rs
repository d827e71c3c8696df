//! All layers of the client library around servers of ours.

use std::sync::{Arc, Mutex};

use a2ad::access::Method;
use a2ad::client::layers::{Interceptor, LayerSettings, stack};
use a2ad::client::{Call, Client, Error, Instance, Reply, Target, discover_many, fetch_card, send_many};
use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, SendMessageRequest, TaskState};
use http::HeaderValue;
use tokio::net::TcpListener;

use crate::sockets::soon;
use crate::support::agents::{BINDINGS, connect, eager, instance, target};
use crate::support::cutter::Cutter;
use crate::support::messages::{get, send, state, task};
use crate::support::world::World;

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Interceptor for Notes {
    fn before(&self, call: &mut Call, target: &Target) -> Result<(), Error> {
        let name = target.card.as_ref().map_or("", |card| card.name.as_str());
        let line = format!("{} {name}", call.method().as_str());
        self.0.lock().unwrap().push(line);
        call.parameters
            .insert("x-request-id", HeaderValue::from_static("mine"));
        Ok(())
    }

    fn after(&self, method: Method, reply: &mut Reply, _: &Target) {
        let id = reply
            .parameters
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        let line = format!("{} answered {}", method.as_str(), id.unwrap_or("nothing"));
        self.0.lock().unwrap().push(line);
    }

    fn on_error(&self, method: Method, error: &Error, _: &Target) {
        let line = format!("{} {}", method.as_str(), error.label());
        self.0.lock().unwrap().push(line);
    }
}

fn layered(instances: Vec<Instance>, settings: &LayerSettings, notes: &Arc<Notes>) -> Client {
    let target = (*instances[0].target).clone();
    Client::new(target, stack(instances, settings, vec![notes.clone()]))
}

/// An instance where nobody listens.
async fn dead(binding: a2ad::context::Binding, agent: &str) -> Instance {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let alive = target(address, binding, agent);
    connect(alive).await
}

#[tokio::test]
async fn every_operation_goes_through_all_layers() {
    for binding in BINDINGS {
        // Each binding finds no task but its own.
        let world = World::new().await;
        let (notes, settings) = (Arc::new(Notes::default()), LayerSettings::default());
        let client = layered(
            vec![instance(world.address, binding, "echo").await],
            &settings,
            &notes,
        );
        let sent = task(client.send(send("", "m", "hello")).await.unwrap());
        assert_eq!(state(&sent), TaskState::Completed);
        assert_eq!(client.task(get("", &sent.id)).await.unwrap(), sent);
        let page = client.tasks(ListTasksRequest::default()).await.unwrap();
        assert_eq!(page.tasks.len(), 1);
        let mut events = client.send_streaming(send("", "m2", "hello")).await.unwrap();
        while soon("an event", events.message()).await.unwrap().is_some() {}
        let missing = client
            .task(get("", "00000000-0000-7000-8000-000000000000"))
            .await
            .unwrap_err();
        assert_eq!(missing.kind(), Some(Kind::TaskNotFound));

        let report = settings.metrics.report();
        assert_eq!((report.calls, report.retries, report.in_flight), (5, 0, 0));
        assert_eq!(
            report.errors.into_iter().collect::<Vec<_>>(),
            [("TASK_NOT_FOUND", 1)]
        );
        assert_eq!(report.latencies.iter().sum::<u64>(), 5);
        let notes = notes.0.lock().unwrap();
        assert_eq!(notes[0], "SendMessage Echo");
        assert_eq!(notes.last().unwrap(), "GetTask TASK_NOT_FOUND");
        assert_eq!(notes.len(), 10);
    }
}

#[tokio::test]
async fn an_instance_that_is_away_costs_its_breaker_and_no_call() {
    let world = World::new().await;
    for binding in BINDINGS {
        let (notes, settings) = (Arc::new(Notes::default()), LayerSettings::default());
        let instances = vec![
            dead(binding, "echo").await,
            instance(world.address, binding, "echo").await,
        ];
        let client = layered(instances, &settings, &notes);
        for number in 0..100 {
            let sent = client
                .send(send("", &format!("m{number}"), "hello"))
                .await
                .unwrap();
            assert_eq!(state(&task(sent)), TaskState::Completed);
        }
        let unreached = "SendMessage UNREACHABLE".to_owned();
        let failed = notes
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|line| **line == unreached)
            .count();
        assert_eq!(failed, 5, "five failures open the breaker");
        let report = settings.metrics.report();
        assert_eq!(
            (report.calls, report.breaker_openings, report.errors.len()),
            (100, 1, 0)
        );
    }
}

/// The server runs the message once, however often its answer is lost on the way.
#[tokio::test]
async fn a_send_whose_answer_is_lost_is_made_again_and_runs_once() {
    let world = World::new().await;
    for binding in BINDINGS {
        let wire = Cutter::start(world.address).await;
        let (notes, settings) = (Arc::new(Notes::default()), eager());
        let known = instance(wire.address, binding, "puppet").await;
        let unknown = connect(target(wire.address, binding, "puppet")).await;
        let before = world.puppet.runs();
        // The request goes through, the answer does not.
        wire.cut_after(&[200; 3]);
        let client = layered(vec![known], &settings, &notes);
        let sent = soon("an answer", client.send(send("", "m", "seen"))).await;
        assert_eq!(state(&task(sent.unwrap())), TaskState::Completed);
        assert_eq!(
            (world.puppet.runs(), settings.metrics.report().retries),
            (before + 1, 3)
        );

        // Without its card nobody knows that the agent runs a message once.
        wire.cut_after(&[200]);
        let client = layered(vec![unknown], &eager(), &notes);
        let error = soon("an error", client.send(send("", "m2", "seen")))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        assert_eq!(world.puppet.runs(), before + 2);
    }
}

#[tokio::test]
async fn many_agents_at_once_have_one_result_each() {
    let world = World::new().await;
    let address = world.address.to_string().parse().unwrap();
    let names = ["echo", "nobody", "conformance", "plain"];
    let cards = discover_many(names, 2, |name| fetch_card(&address, None, Some(name))).await;
    let found: Vec<Option<String>> = cards
        .into_iter()
        .map(|card| card.ok().map(|card| card.name))
        .collect();
    assert!(found[1].is_none());
    assert_eq!(found.iter().flatten().count(), 3);

    let binding = BINDINGS[0];
    let notes = Arc::new(Notes::default());
    let settings = LayerSettings::default();
    let alive = layered(
        vec![instance(world.address, binding, "echo").await],
        &settings,
        &notes,
    );
    let away = layered(vec![dead(binding, "echo").await], &eager(), &notes);
    let sends: Vec<(Client, SendMessageRequest)> = (0..30)
        .map(|number| {
            let client = if number % 3 == 0 { &away } else { &alive };
            (
                client.clone(),
                send("", &format!("m{number}"), &format!("text {number}")),
            )
        })
        .collect();
    let answers = send_many(sends, 4).await;
    for (number, answer) in answers.into_iter().enumerate() {
        if number % 3 == 0 {
            let error = answer.unwrap_err();
            assert!(error.is_transient(), "{error}");
            continue;
        }
        let task = task(answer.unwrap());
        let said = task.history[0].message_id.as_str();
        assert_eq!(said, format!("m{number}"), "the order is kept");
    }
}

//! Every operation on every binding, against our own server.

use a2ad::client::{Client, ClientSettings, EventStream, Request, call};
use a2ad::config::Secret;
use a2ad::context::Binding;
use a2ad::pb::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTasksRequest, TaskPushNotificationConfig, TaskState,
};
use futures_util::StreamExt as _;

use super::harness::{BINDINGS, client, client_of, on_each_binding};
use super::script::Script;
use crate::sockets::soon;
use crate::support::agents::instance;
use crate::support::messages::{at_once, get, label, send, state, subscribe, task};
use crate::support::world::{Scenario, World};

on_each_binding!(
    tasks_are_sent_read_listed_and_canceled,
    streams_are_numbered_and_resumed,
    one_message_is_a_whole_stream,
    push_configurations_live_and_end,
    the_extended_card_is_fetched,
    ids_are_kept_as_they_are,
    service_parameters_and_queries_arrive,
);

/// (generation, label) of each event up to the end.
async fn all(mut events: EventStream) -> Vec<(Option<u64>, String)> {
    let mut seen = Vec::new();
    while let Some(event) = soon("the next event", events.next()).await {
        let event = event.unwrap();
        seen.push((event.generation, label(&event.response.payload.unwrap())));
    }
    seen
}

fn cancel(id: &str) -> CancelTaskRequest {
    CancelTaskRequest {
        id: id.to_owned(),
        ..CancelTaskRequest::default()
    }
}

async fn tasks_are_sent_read_listed_and_canceled(binding: Binding) {
    let world = World::new().await;
    let client = client(world.address, binding, "puppet").await;
    world.puppet.allow(1);
    let done = task(client.send(send("", "m-1", "hold")).await.unwrap());
    assert_eq!(state(&done), TaskState::Completed);
    let open = task(client.send(at_once(send("", "m-2", "hold"))).await.unwrap());
    let found = client.task(get("", &done.id)).await.unwrap();
    assert_eq!(found, done);
    let short = a2ad::pb::GetTaskRequest {
        history_length: Some(0),
        ..get("", &done.id)
    };
    assert_eq!(client.task(short).await.unwrap().history, []);
    let page = ListTasksRequest {
        page_size: Some(1),
        include_artifacts: Some(true),
        status: TaskState::Completed.into(),
        status_timestamp_after: done.status.as_ref().unwrap().timestamp,
        ..ListTasksRequest::default()
    };
    let page = client.tasks(page).await.unwrap();
    let ids: Vec<&str> = page.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!((ids, page.total_size), (vec![done.id.as_str()], 1));
    let canceled = client.cancel(cancel(&open.id)).await.unwrap();
    assert_eq!(state(&canceled), TaskState::Canceled);
}

async fn streams_are_numbered_and_resumed(binding: Binding) {
    let world = World::new().await;
    // With the card, which says that the ids of events are generations.
    let puppet = instance(world.address, binding, "puppet").await;
    let client = Client::new((*puppet.target).clone(), puppet.transport);
    let mut first = client.send_streaming(send("", "m", "steps 3")).await.unwrap();
    let begun = soon("the task", first.next()).await.unwrap().unwrap();
    let Some(a2ad::pb::stream_response::Payload::Task(begun)) = begun.response.payload else {
        panic!("a stream begins with its task");
    };
    world.puppet.allow(2);
    for expected in ["WORKING", "Artifact:step-0", "Artifact:step-1"] {
        let event = soon("an event", first.next()).await.unwrap().unwrap();
        assert_eq!(label(&event.response.payload.unwrap()), expected);
    }
    drop(first);
    let again = client.subscribe(subscribe("", &begun.id), Some(3)).await.unwrap();
    let anew = client.subscribe(subscribe("", &begun.id), None).await.unwrap();
    world.puppet.allow(2);
    let resumed = all(again).await;
    let rest = [
        (Some(4), "Artifact:step-1"),
        (Some(5), "Artifact:step-2"),
        (Some(6), "COMPLETED"),
    ];
    let rest = rest.map(|(generation, label)| (generation, label.to_owned()));
    assert_eq!(resumed, rest);
    let joined = all(anew).await;
    assert_eq!(joined[0], (Some(4), "Task:WORKING".to_owned()));
    assert_eq!(joined[1..], rest[1..]);
}

async fn one_message_is_a_whole_stream(binding: Binding) {
    let world = World::new().await;
    let client = client(world.address, binding, "conformance").await;
    let mut sent = call::Call::new(Request::SendStreamingMessage(send(
        "",
        "tck-message-response",
        "x",
    )));
    // A send that may be repeated has a task to come back to.
    sent.parameters.remove(call::IDEMPOTENCY_KEY);
    let events = client.call(sent).await.unwrap().answer.events().unwrap();
    assert_eq!(all(events).await, [(None, "Message".to_owned())]);
}

async fn push_configurations_live_and_end(binding: Binding) {
    let world = World::new().await;
    let client = client(world.address, binding, "puppet").await;
    let open = task(client.send(at_once(send("", "m", "hold"))).await.unwrap());
    let config = TaskPushNotificationConfig {
        id: "a:b@c~d".to_owned(),
        task_id: open.id.clone(),
        url: "https://example.com/hook".to_owned(),
        ..TaskPushNotificationConfig::default()
    };
    let made = client.create_push_config(config).await.unwrap();
    assert_eq!(made.id, "a:b@c~d");
    let one = GetTaskPushNotificationConfigRequest {
        task_id: open.id.clone(),
        id: made.id.clone(),
        ..GetTaskPushNotificationConfigRequest::default()
    };
    // The same on each binding, also where the tenant stands in the path.
    assert_eq!(made.tenant, "puppet");
    assert_eq!(client.push_config(one.clone()).await.unwrap(), made);
    let list = ListTaskPushNotificationConfigsRequest {
        task_id: open.id.clone(),
        page_size: 5,
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    let listed = client.push_configs(list.clone()).await.unwrap().configs;
    assert_eq!(listed, std::slice::from_ref(&made));
    let delete = DeleteTaskPushNotificationConfigRequest {
        task_id: open.id,
        id: made.id,
        ..DeleteTaskPushNotificationConfigRequest::default()
    };
    client.delete_push_config(delete).await.unwrap();
    assert_eq!(client.push_configs(list).await.unwrap().configs, []);
    assert!(client.push_config(one).await.is_err());
}

async fn the_extended_card_is_fetched(binding: Binding) {
    let world = World::new().await;
    let client = client(world.address, binding, "conformance").await;
    let card = client.extended_card().await.unwrap();
    assert!(
        card.skills.iter().any(|skill| skill.id == "instructions"),
        "{card:?}"
    );
}

async fn ids_are_kept_as_they_are(binding: Binding) {
    let world = World::new().await;
    let client = client(world.address, binding, "puppet").await;
    for id in ["x:cancel", "a:b@c~d", "pushNotificationConfigs", "tasks"] {
        let error = client.task(get("", id)).await.unwrap_err();
        let a2ad::client::Error::Agent(error) = error else {
            panic!("{id}: {error}");
        };
        assert_eq!(error.metadata["taskId"], id);
    }
}

async fn service_parameters_and_queries_arrive(binding: Binding) {
    let world = Scenario::new().set(|config| config.agents.clear()).start().await;
    let client = client(world.address, binding, "puppet").await;
    let mut sent = call::Call::new(Request::SendMessage(send("", "m", "seen")));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    sent.parameters.insert("traceparent", trace.parse().unwrap());
    sent.parameters.insert("connection", "close".parse().unwrap());
    sent.parameters.insert("accept-encoding", "gzip".parse().unwrap());
    sent.query
        .push(("a key".to_owned(), Secret::new("b&c".to_owned())));
    world.puppet.allow(1);
    let reply = client.call(sent).await.unwrap();
    assert!(reply.parameters.contains_key("x-request-id"));
    let done = task(reply.answer.sent().unwrap());
    let text = format!("{:?}", done.artifacts);
    assert!(text.contains("trace=0af7651916cd43dd8448eb211c80319c"), "{text}");
}

/// Where HTTP+JSON sends what (specification 11.3), whatever stands in an id.
#[tokio::test]
async fn paths_and_queries_are_those_of_the_specification() {
    let script = Script::saying(200, &[("content-type", "application/json")], "{}").await;
    let url = format!("{}/base/?fixed=1", script.url());
    let client = client_of(&url, Binding::HttpJson, "", &ClientSettings::default()).await;
    client.task(get("", "a/b ?#%ä")).await.unwrap();
    client.task(get("te nant", "t")).await.unwrap();
    client.cancel(cancel("a:cancel")).await.unwrap();
    let page = ListTasksRequest {
        context_id: "c&d=e".to_owned(),
        page_size: Some(7),
        status: TaskState::Working.into(),
        ..ListTasksRequest::default()
    };
    client.tasks(page).await.unwrap();
    let mut keyed = call::Call::new(Request::GetTask(get("", "t")));
    keyed
        .query
        .push(("a key".to_owned(), Secret::new("b&c".to_owned())));
    client.call(keyed).await.unwrap();
    let got = script.got();
    let asked: Vec<String> = got
        .iter()
        .map(|got| format!("{} {}", got.head.method, got.head.uri))
        .collect();
    assert_eq!(
        asked,
        [
            "GET /base/tasks/a%2Fb%20%3F%23%25%C3%A4?fixed=1",
            "GET /base/te%20nant/tasks/t?fixed=1",
            "POST /base/tasks/a%3Acancel:cancel?fixed=1",
            "GET /base/tasks?fixed=1&contextId=c%26d%3De&pageSize=7&status=TASK_STATE_WORKING",
            "GET /base/tasks/t?fixed=1&a%20key=b%26c",
        ]
    );
    assert!(got.iter().all(|got| got.head.headers["a2a-version"] == "1.0"));
    assert!(
        got.iter()
            .all(|got| !got.head.headers.contains_key("accept-encoding"))
    );
    let kinds: Vec<bool> = got
        .iter()
        .map(|got| got.head.headers.contains_key("content-type"))
        .collect();
    assert_eq!(kinds, [false, false, true, false, false]);
    assert_eq!(got[2].body, r#"{"id":"a:cancel"}"#);
}

/// What a caller gets is the same, whatever the binding.
#[tokio::test]
async fn bindings_do_not_differ() {
    let world = World::new().await;
    let mut seen = Vec::new();
    for binding in BINDINGS {
        let client: Client = client(world.address, binding, "conformance").await;
        let done = task(client.send(send("", "tck-artifact-text", "x")).await.unwrap());
        seen.push(client.task(get("", &done.id)).await.unwrap());
        let mut across = Vec::new();
        for other in BINDINGS {
            let other = super::harness::client(world.address, other, "conformance").await;
            across.push(other.task(get("", &done.id)).await.unwrap());
        }
        assert!(across.iter().all(|one| one == &done), "{across:?}");
    }
    assert_eq!(seen.len(), 3);
}

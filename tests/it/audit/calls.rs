//! One record for each call and each change of a task, whichever way it came.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use a2ad::audit::{Kind, Record};
use a2ad::context::{Principal, Scope};
use a2ad::pb::CancelTaskRequest;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::repository::{ListQuery, TaskRepository as _};
use a2ad::shutdown::Shutdown;
use futures_util::future::join_all;
use serde_json::json;

use super::changes::changes;
use super::program::{Place, records, stored};
use crate::support::engine::eventually;
use crate::support::messages::{at_once, get, message, send, send_of, subscribe, task};
use crate::support::raw::Raw;
use crate::support::wire::Wire;

fn of_kind<'a>(records: &'a [Record<'static>], kind: Kind) -> Vec<&'a Record<'static>> {
    records.iter().filter(|record| record.kind == kind).collect()
}

/// Every status event of the tasks in a database: task, generation and state.
async fn status_events(database: &Path, owners: &[String]) -> BTreeSet<(String, u64, String)> {
    let (settings, shutdown) = (DatabaseSettings::default(), Shutdown::new());
    let repository = SeaOrmRepository::open_sqlite(database, &settings, &shutdown)
        .await
        .unwrap();
    let mut all = BTreeSet::new();
    for owner in owners {
        for agent in ["echo", "bench"] {
            let scope = Scope {
                agent: agent.into(),
                owner: Principal::verified(owner),
            };
            let query = ListQuery {
                limit: 1_000,
                ..ListQuery::default()
            };
            for stored in repository.list(&scope, &query).await.unwrap().tasks {
                let id = stored.task.id;
                for event in repository.events(&scope, &id, 0, 1_000).await.unwrap() {
                    if let Some(state) = event.state {
                        all.insert((id.clone(), event.generation, state.as_str_name().to_owned()));
                    }
                }
            }
        }
    }
    repository.close().await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_and_their_records_are_one_to_one() {
    let place = Place::new("");
    let server = place.start();
    let callers = [place.caller(&server, "a").await, place.caller(&server, "b").await];
    let mut sends = Vec::new();
    for number in 0..64 {
        let (caller, wire) = (&callers[number % 2], Wire::ALL[number % 3]);
        let id = format!("call-{number}");
        sends.push(async move {
            let task_id = caller.send(wire, &id, "hello").await.unwrap();
            (id, (caller.name.clone(), task_id))
        });
    }
    let made: BTreeMap<String, (String, String)> = join_all(sends).await.into_iter().collect();
    // One that the other caller may not see, and one that can't be.
    let mut foreign = tonic::Request::new(get("echo", &made["call-0"].1));
    foreign
        .metadata_mut()
        .insert("x-request-id", "foreign".parse().unwrap());
    callers[1].grpc().get_task(foreign).await.unwrap_err();
    let unknown =
        json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x", "tenant": "nobody"}});
    let batch = json!([unknown, unknown]);
    let headers = [("x-request-id", "batch")];
    callers[0].http("POST", "/", &headers, &batch).await;
    server.terminate();
    assert!(server.ended().success());

    let records = place.records();
    let calls = of_kind(&records, Kind::Call);
    let sent: BTreeMap<String, (String, String)> = calls
        .iter()
        .filter(|record| record.outcome == "ok")
        .map(|record| {
            let text = |field: &Option<std::borrow::Cow<'_, str>>| field.as_deref().unwrap().to_owned();
            assert_eq!(record.agent.as_deref(), Some("echo"));
            assert!(record.peer.as_deref().unwrap().starts_with("127.0.0.1:"));
            assert!(record.context_id.is_some() && record.binding.is_some());
            (
                text(&record.request_id),
                (text(&record.principal), text(&record.task_id)),
            )
        })
        .collect();
    assert_eq!(sent, made, "a record for each call, and the other way round");
    assert_eq!(calls.len(), 64 + 1 + 2);
    let outcome = |id: &str| -> Vec<&str> {
        let of = calls
            .iter()
            .filter(|record| record.request_id.as_deref() == Some(id));
        of.map(|record| &*record.outcome).collect()
    };
    assert_eq!(outcome("foreign"), ["TASK_NOT_FOUND"]);
    assert_eq!(outcome("batch"), ["NOT_FOUND", "NOT_FOUND"]);

    let owners: Vec<String> = callers.iter().map(|caller| caller.name.clone()).collect();
    let events = status_events(&place.database(), &owners).await;
    let states = changes(&records);
    let recorded: BTreeSet<_> = states
        .iter()
        .map(|change| (change.task_id.clone(), change.generation, change.to.clone()))
        .collect();
    assert_eq!(recorded, events);
    assert_eq!(states.len(), events.len(), "each once, in one record or another");
    for change in &states {
        let id = change.request_id.as_deref().unwrap();
        let (owner, task_id) = &made[id];
        assert_eq!(change.task_id, *task_id, "the request that it was made for");
        match change.from {
            None => assert_eq!(change.by, *owner),
            Some(_) => assert_eq!(change.by, "agent:echo"),
        }
    }
    place.is_whole();
    println!(
        "{} calls with a record each, {} changes of state on record, {} of them in those of their calls",
        calls.len(),
        states.len(),
        calls.iter().map(|call| call.changes.len()).sum::<usize>()
    );

    // The database has the very same lines.
    let raw = Raw::open(&place.database()).await;
    assert_eq!(stored(&raw).await, place.records());
}

/// A cancel is its caller's; what the runtime does after a crash is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_names_its_author() {
    let place = Place::new("");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    let begin = |text: &str| at_once(send_of("bench", message("m", text)));
    let mut client = caller.grpc();
    let canceled = task(client.send_message(begin("hold:600")).await.unwrap().into_inner()).id;
    let left = task(client.send_message(begin("hold:600")).await.unwrap().into_inner()).id;
    let cancel = CancelTaskRequest {
        tenant: "bench".to_owned(),
        id: canceled.clone(),
        ..CancelTaskRequest::default()
    };
    client.cancel_task(cancel).await.unwrap();
    let authors = |id: &str| -> Vec<(String, String)> {
        changes(&place.records())
            .into_iter()
            .filter(|change| change.task_id == id)
            .map(|change| (change.by, change.to))
            .collect()
    };
    let last =
        |id: &str, author: &str, to: &str| authors(id).last() == Some(&(author.to_owned(), to.to_owned()));
    eventually(async || last(&canceled, &caller.name, "TASK_STATE_CANCELED")).await;
    assert_eq!(
        authors(&canceled)[0],
        (caller.name.clone(), "TASK_STATE_SUBMITTED".to_owned())
    );
    eventually(async || last(&left, "agent:bench", "TASK_STATE_WORKING")).await;
    server.kill();
    let server = place.start();
    eventually(async || last(&left, "runtime", "TASK_STATE_FAILED")).await;
    server.terminate();
    assert!(server.ended().success());
    place.is_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_asks_nobody_records_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let set = format!("audit.file={}", file.display());
    let server = crate::binary::Server::start_in(folder.path(), &["--set", &set]);
    let client = crate::support::wire::TestClient::new(server.addr, Wire::Grpc);
    client.call(send("echo", "1", "x")).await.unwrap();
    server.terminate();
    assert!(server.ended().success());
    assert!(!file.exists());
    let raw = Raw::open(&folder.path().join("a2ad.db")).await;
    assert_eq!(raw.count("audit_record").await, 0);
}

/// Who goes away before the answer is recorded all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_call_is_recorded() {
    let place = Place::new("");
    let server = place.start_on("memory");
    let caller = place.caller(&server, "a").await;
    let mut client = caller.grpc();
    let request = send_of("bench", message("m", "hold:600"));
    let gone = tokio::time::timeout(
        std::time::Duration::from_millis(300),
        client.send_message(request),
    )
    .await;
    assert!(gone.is_err(), "{gone:?}");
    let text = || std::fs::read_to_string(place.file()).unwrap();
    eventually(async || {
        records(&text())
            .iter()
            .any(|record| record.outcome == "ABANDONED")
    })
    .await;
    server.kill();
    assert!(place.verify(&["--file", "audit.jsonl"]).0);
}

/// All eleven operations, well and badly: none is left out, and a stream is recorded when it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_has_its_record() {
    let place = Place::new("");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    let mut client = caller.grpc();
    let id = task(
        client
            .send_message(send("conformance", "1", "x"))
            .await
            .unwrap()
            .into_inner(),
    )
    .id;
    let mut stream = client
        .send_streaming_message(send("conformance", "2", "x"))
        .await
        .unwrap()
        .into_inner();
    while let Ok(Some(_)) = stream.message().await {}
    let tenant = || "conformance".to_owned();
    client.get_task(get("conformance", &id)).await.unwrap();
    let list = a2ad::pb::ListTasksRequest {
        tenant: tenant(),
        ..Default::default()
    };
    client.list_tasks(list).await.unwrap();
    let config = a2ad::pb::TaskPushNotificationConfig {
        tenant: tenant(),
        task_id: id.clone(),
        id: "c".to_owned(),
        url: "https://hooks.example.com/".to_owned(),
        ..Default::default()
    };
    client.create_task_push_notification_config(config).await.unwrap();
    let config = a2ad::pb::GetTaskPushNotificationConfigRequest {
        tenant: tenant(),
        task_id: id.clone(),
        id: "c".to_owned(),
    };
    client.get_task_push_notification_config(config).await.unwrap();
    let configs = a2ad::pb::ListTaskPushNotificationConfigsRequest {
        tenant: tenant(),
        task_id: id.clone(),
        ..Default::default()
    };
    client.list_task_push_notification_configs(configs).await.unwrap();
    let config = a2ad::pb::DeleteTaskPushNotificationConfigRequest {
        tenant: tenant(),
        task_id: id.clone(),
        id: "c".to_owned(),
    };
    client.delete_task_push_notification_config(config).await.unwrap();
    let card = a2ad::pb::GetExtendedAgentCardRequest { tenant: tenant() };
    client.get_extended_agent_card(card).await.unwrap();
    // Too late for both.
    let cancel = CancelTaskRequest {
        tenant: tenant(),
        id: id.clone(),
        ..Default::default()
    };
    client.cancel_task(cancel).await.unwrap_err();
    client
        .subscribe_to_task(subscribe("conformance", &id))
        .await
        .unwrap_err();
    server.terminate();
    assert!(server.ended().success());

    let records = place.records();
    let calls = of_kind(&records, Kind::Call);
    let outcomes: BTreeMap<&str, &str> = calls
        .iter()
        .map(|record| (record.method.as_deref().unwrap(), &*record.outcome))
        .collect();
    assert_eq!(calls.len(), a2ad::access::Method::ALL.len());
    for method in a2ad::access::Method::ALL {
        let expected = match method.as_str() {
            "CancelTask" => "TASK_NOT_CANCELABLE",
            "SubscribeToTask" => "UNSUPPORTED_OPERATION",
            _ => "ok",
        };
        assert_eq!(outcomes.get(method.as_str()), Some(&expected), "{method:?}");
    }
    for record in calls {
        let method = record.method.as_deref().unwrap();
        let names_none = ["ListTasks", "GetExtendedAgentCard"].contains(&method);
        assert_eq!(record.task_id.is_none(), names_none, "{record:?}");
    }
}

//! Servers of the official SDKs, on every binding that they have.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use a2ad::client::{Address, Client, ClientSettings, Error, EventStream, fetch_card};
use a2ad::context::Binding;
use a2ad::error::Kind;
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest, ListTasksRequest, Task,
    TaskPushNotificationConfig, TaskState,
};
use futures_util::StreamExt as _;

use super::harness::{BINDINGS, client_of};
use crate::sockets::soon;
use crate::support::messages::{at_once, get, label, reply, send, state, subscribe, task};
use crate::support::webhook::Webhook;
use crate::{peers, python};

/// A server in a process of its own, which ends with its standard input.
struct Peer {
    child: Child,
    http_port: u16,
    grpc_port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn start(interpreter: PathBuf, script: &str) -> Self {
        let mut child = Command::new(interpreter)
            .arg(Path::new("tests/peers").join(script))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output
            .read_line(&mut line)
            .expect("a server says that it is ready");
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("ready"), "{script}: {line:?}");
        let mut port = || words.next().unwrap().parse().unwrap();
        Self {
            http_port: port(),
            grpc_port: port(),
            child,
        }
    }

    fn python() -> Self {
        Self::start(python::interpreter(), "python_server.py")
    }

    fn node() -> Self {
        Self::start(peers::node(), "js_server.mjs")
    }

    async fn card(&self) -> AgentCard {
        let address: Address = format!("127.0.0.1:{}", self.http_port).parse().unwrap();
        fetch_card(&address, None, None).await.unwrap()
    }

    /// The interface that the card names.
    async fn client(&self, binding: Binding) -> Client {
        let card = self.card().await;
        let interface = card
            .supported_interfaces
            .iter()
            .find(|one| one.protocol_binding == binding.as_str())
            .expect("the card names all bindings");
        let url = match binding {
            Binding::Grpc => format!("http://127.0.0.1:{}", self.grpc_port),
            _ => interface.url.clone(),
        };
        client_of(&url, binding, &interface.tenant, &ClientSettings::default()).await
    }
}

/// What the servers of one SDK do otherwise than the protocol says, each looked at by the checks that it concerns.
#[derive(Clone, Copy)]
struct Differences {
    /// The kind of a task that is canceled again.
    canceled_twice: Option<Kind>,
    /// The kind of a configuration that is gone.
    config_gone: Kind,
}

async fn all(mut events: EventStream) -> Vec<Payload> {
    let mut seen = Vec::new();
    while let Some(event) = soon("the next event", events.next()).await {
        let event = event.unwrap();
        assert_eq!(event.generation, None);
        seen.push(event.response.payload.unwrap());
    }
    seen
}

fn labels(events: &[Payload]) -> Vec<String> {
    events.iter().map(label).collect()
}

#[track_caller]
fn kind<T>(result: Result<T, Error>) -> Option<Kind> {
    let error = result.err()?;
    let kind = error.kind();
    assert!(kind.is_some(), "not of the agent: {error:?}");
    kind
}

fn cancel(id: &str) -> CancelTaskRequest {
    CancelTaskRequest {
        id: id.to_owned(),
        ..CancelTaskRequest::default()
    }
}

/// Every check, in its order; how many there were.
async fn checks(peer: &Peer, binding: Binding, differences: Differences) -> usize {
    let client = peer.client(binding).await;
    let mut count = 0;
    let mut done = |_: &str| count += 1;
    let card = client.extended_card().await.unwrap();
    assert!(card.skills.iter().any(|skill| skill.id == "hidden"), "{card:?}");
    done("card");
    let sent = task(client.send(send("", "m-1", "complete")).await.unwrap());
    assert_eq!((state(&sent), sent.artifacts.len()), (TaskState::Completed, 1));
    done("send");
    streams(&client).await;
    done("stream");
    assert_eq!(client.task(get("", &sent.id)).await.unwrap().id, sent.id);
    done("get");
    let page = ListTasksRequest {
        context_id: sent.context_id.clone(),
        page_size: Some(10),
        ..ListTasksRequest::default()
    };
    let page = client.tasks(page).await.unwrap();
    assert_eq!(
        page.tasks.iter().map(|one| &one.id).collect::<Vec<_>>(),
        [&sent.id]
    );
    done("list");
    turns(&client).await;
    done("input required");
    let failed = task(client.send(send("", "m-2", "fail")).await.unwrap());
    assert_eq!(state(&failed), TaskState::Failed);
    done("fail");
    canceled(&client, differences).await;
    done("cancel and resubscribe");
    configs(&client, differences).await;
    done("push configurations");
    notified(&client).await;
    done("push");
    errors(&client, &sent).await;
    done("errors");
    count
}

async fn streams(client: &Client) {
    let events = client.send_streaming(send("", "m-3", "chunks")).await.unwrap();
    let events = all(events).await;
    let chunk = "Artifact:a";
    let labels = labels(&events);
    assert!(labels[0].starts_with("Task:"), "{labels:?}");
    assert_eq!(labels[1..], ["WORKING", chunk, chunk, chunk, "COMPLETED"]);
}

async fn turns(client: &Client) {
    let asks = task(client.send(send("", "m-4", "ask")).await.unwrap());
    assert_eq!(state(&asks), TaskState::InputRequired);
    let mut more = reply("", &asks, "m-5", "complete");
    more.message.as_mut().unwrap().context_id = asks.context_id.clone();
    let answered = task(client.send(more).await.unwrap());
    assert_eq!(
        (answered.id, state_of(&answered.status)),
        (asks.id, TaskState::Completed)
    );
}

fn state_of(status: &Option<a2ad::pb::TaskStatus>) -> TaskState {
    status.as_ref().unwrap().state()
}

/// A task that is left running, joined again, and canceled while somebody looks.
async fn canceled(client: &Client, differences: Differences) {
    let mut first = client.send_streaming(send("", "m-6", "run")).await.unwrap();
    let Payload::Task(open) = soon("the task", first.next())
        .await
        .unwrap()
        .unwrap()
        .response
        .payload
        .unwrap()
    else {
        panic!("a stream begins with its task");
    };
    let working = soon("an event", first.next()).await.unwrap().unwrap();
    assert_eq!(label(&working.response.payload.unwrap()), "WORKING");
    drop(first);
    let mut again = client.subscribe(subscribe("", &open.id), Some(3)).await.unwrap();
    let joined = soon("the task", again.next()).await.unwrap().unwrap();
    assert!(label(&joined.response.payload.unwrap()).starts_with("Task:"));
    let over = client.cancel(cancel(&open.id)).await.unwrap();
    assert_eq!(state(&over), TaskState::Canceled);
    let rest = all(again).await;
    assert_eq!(labels(&rest).last().map(String::as_str), Some("CANCELED"));
    assert_eq!(
        kind(client.cancel(cancel(&open.id)).await),
        differences.canceled_twice
    );
}

async fn configs(client: &Client, differences: Differences) {
    let open = task(client.send(send("", "m-7", "ask")).await.unwrap());
    let config = TaskPushNotificationConfig {
        id: "one".to_owned(),
        task_id: open.id.clone(),
        url: "http://127.0.0.1:9/hook".to_owned(),
        ..TaskPushNotificationConfig::default()
    };
    let made = client.create_push_config(config).await.unwrap();
    assert_eq!(
        (made.id.as_str(), made.task_id.as_str()),
        ("one", open.id.as_str())
    );
    let one = GetTaskPushNotificationConfigRequest {
        task_id: open.id.clone(),
        id: made.id.clone(),
        ..GetTaskPushNotificationConfigRequest::default()
    };
    assert_eq!(client.push_config(one.clone()).await.unwrap().url, made.url);
    let list = ListTaskPushNotificationConfigsRequest {
        task_id: open.id.clone(),
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    assert_eq!(client.push_configs(list.clone()).await.unwrap().configs.len(), 1);
    let delete = DeleteTaskPushNotificationConfigRequest {
        task_id: open.id.clone(),
        id: made.id,
        ..DeleteTaskPushNotificationConfigRequest::default()
    };
    client.delete_push_config(delete).await.unwrap();
    assert_eq!(client.push_configs(list).await.unwrap().configs.len(), 0);
    assert_eq!(kind(client.push_config(one).await), Some(differences.config_gone));
}

async fn notified(client: &Client) {
    let webhook = Webhook::good().await;
    let mut request = send("", "m-8", "complete");
    request
        .configuration
        .get_or_insert_default()
        .task_push_notification_config = Some(TaskPushNotificationConfig {
        url: webhook.url("/hook"),
        ..TaskPushNotificationConfig::default()
    });
    client.send(request).await.unwrap();
    // How many follow is the SDK's own business; each is parsed by its label.
    assert!(webhook.wait(2).await.iter().all(|one| !one.label().is_empty()));
}

/// On gRPC a stream may begin before its agent says that there is none; the error is its first item then.
async fn joined(client: &Client, id: &str) -> Result<(), Error> {
    let mut events = client.subscribe(subscribe("", id), None).await?;
    let first = soon("the first event", events.next()).await;
    first.expect("an event or an error").map(drop)
}

async fn errors(client: &Client, ended: &Task) {
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(
        kind(client.task(get("", unknown)).await),
        Some(Kind::TaskNotFound)
    );
    assert_eq!(
        kind(client.cancel(cancel(unknown)).await),
        Some(Kind::TaskNotFound)
    );
    assert_eq!(kind(joined(client, unknown).await), Some(Kind::TaskNotFound));
    assert_eq!(
        kind(client.cancel(cancel(&ended.id)).await),
        Some(Kind::TaskNotCancelable)
    );
    assert_eq!(
        kind(joined(client, &ended.id).await),
        Some(Kind::UnsupportedOperation)
    );
    let open = task(client.send(at_once(send("", "m-9", "run"))).await.unwrap());
    assert_eq!(
        state(&client.cancel(cancel(&open.id)).await.unwrap()),
        TaskState::Canceled
    );
}

/// n: 11 checks on each of 3 bindings.
#[tokio::test]
async fn python() {
    let peer = Peer::python();
    let differences = Differences {
        canceled_twice: Some(Kind::TaskNotCancelable),
        config_gone: Kind::TaskNotFound,
    };
    let mut count = 0;
    for binding in BINDINGS {
        count += Box::pin(checks(&peer, binding, differences)).await;
    }
    assert_eq!(count, 33);
}

/// n: 11 checks on each of 3 bindings.
#[tokio::test]
async fn node() {
    let peer = Peer::node();
    let differences = Differences {
        // It answers with the task, as if it had been canceled now.
        canceled_twice: None,
        config_gone: Kind::TaskNotFound,
    };
    let mut count = 0;
    for binding in BINDINGS {
        count += Box::pin(checks(&peer, binding, differences)).await;
    }
    assert_eq!(count, 33);
}

//! Mixed load, and a ledger of what the server acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::pb::client::A2aServiceClient;
use a2ad::pb::part::Content;
use a2ad::pb::send_message_response::Payload as Answer;
use a2ad::pb::stream_response::Payload as Event;
use a2ad::pb::{
    CancelTaskRequest, Message, Part, Role, SendMessageConfiguration, SendMessageRequest, StreamResponse,
    Task, TaskState,
};
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::binary::Server;
use crate::support::random::Random;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(20);

/// A gRPC client of one server.
#[derive(Clone)]
pub(super) struct Client(pub(super) A2aServiceClient<Channel>);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Blocking,
    Immediate,
    Stream,
    Cancel,
    Turn,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Blocking,
        Self::Immediate,
        Self::Stream,
        Self::Cancel,
        Self::Turn,
    ];
}

/// How a client's work ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By the end of the server, as it should.
    Cut,
    /// By an answer that no client should get.
    Wrong(String),
}

/// The acknowledged tasks with what was done to them and the last state that their client was told.
#[derive(Clone)]
pub(super) struct Ledger {
    tasks: Arc<Mutex<BTreeMap<String, (Kind, TaskState)>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            tasks: Arc::default(),
            count: Arc::new(watch::channel(0).0),
        }
    }
}

impl Ledger {
    pub(super) fn note(&self, id: &str, kind: Kind, state: TaskState) {
        let mut tasks = self.tasks.lock().expect("no client panics with the lock");
        tasks.insert(id.to_owned(), (kind, state));
        self.count.send_replace(tasks.len());
    }

    pub(super) fn len(&self) -> usize {
        *self.count.borrow()
    }

    pub(super) fn all(&self) -> Vec<(String, Kind, TaskState)> {
        let tasks = self.tasks.lock().expect("no client panics with the lock");
        tasks
            .iter()
            .map(|(id, (kind, state))| (id.clone(), *kind, *state))
            .collect()
    }

    /// Waits until more than so many tasks are acknowledged.
    pub(super) async fn grows_beyond(&self, count: usize) {
        let mut watch = self.count.subscribe();
        let grown = watch.wait_for(|now| *now > count);
        let grown = tokio::time::timeout(Duration::from_secs(60), grown).await;
        grown.expect("the load makes progress").expect("the ledger lives");
    }
}

/// Works until the server is gone.
pub(super) async fn until_cut(addr: SocketAddr, ledger: Ledger, mut random: Random) -> Outcome {
    let client = match Client::to(addr).await {
        Ok(client) => client,
        Err(_) => return Outcome::Cut,
    };
    loop {
        let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
        if let Err(status) = client.act(kind, &ledger, &mut random).await {
            return match is_cut(&status) {
                true => Outcome::Cut,
                false => Outcome::Wrong(format!("{kind:?}: {status:?}")),
            };
        }
    }
}

/// What a client sees of a server that dies or drains. A broken connection is UNKNOWN or CANCELLED to tonic,
/// depending on where it broke, and a request that crossed the server's GOAWAY is INTERNAL.
fn is_cut(status: &Status) -> bool {
    let broken = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Cancelled => broken,
        Code::Internal => broken && format!("{status:?}").contains("NO_ERROR, Remote"),
        _ => false,
    }
}

impl Client {
    pub(super) async fn connect(server: &Server) -> Self {
        Self::to(server.addr)
            .await
            .expect("a server that is ready takes connections")
    }

    async fn to(addr: SocketAddr) -> Result<Self, tonic::transport::Error> {
        let endpoint = Channel::from_shared(format!("http://{addr}")).expect("an address is a URL");
        let channel = endpoint.connect_timeout(CONNECT_TIME_MAX).connect().await?;
        Ok(Self(A2aServiceClient::new(channel)))
    }

    async fn act(&self, kind: Kind, ledger: &Ledger, random: &mut Random) -> Result<(), Status> {
        match kind {
            Kind::Blocking => self.acknowledged(kind, "hello", false, ledger).await.map(drop),
            Kind::Turn => self.acknowledged(kind, "turn:a", false, ledger).await.map(drop),
            Kind::Immediate => {
                let text = format!("hold:0.{:03}", random.below(400));
                self.acknowledged(kind, &text, true, ledger).await.map(drop)
            }
            Kind::Cancel => {
                let id = self.acknowledged(kind, "hold:600", true, ledger).await?;
                let request = CancelTaskRequest {
                    id,
                    ..CancelTaskRequest::default()
                };
                let task = self.0.clone().cancel_task(request).await?.into_inner();
                ledger.note(&task.id, kind, state(&task));
                Ok(())
            }
            Kind::Stream => self.watch(random, ledger).await,
        }
    }

    pub(super) async fn acknowledged(
        &self,
        kind: Kind,
        text: &str,
        return_immediately: bool,
        ledger: &Ledger,
    ) -> Result<String, Status> {
        let answer = self
            .0
            .clone()
            .send_message(request(text, return_immediately))
            .await?
            .into_inner();
        let Some(Answer::Task(task)) = answer.payload else {
            return Err(Status::internal("the bench agent answers with tasks only"));
        };
        ledger.note(&task.id, kind, state(&task));
        Ok(task.id)
    }

    /// A stream and the task that it begins with.
    pub(super) async fn stream(&self, text: &str) -> Result<(Streaming<StreamResponse>, Task), Status> {
        let mut stream = self
            .0
            .clone()
            .send_streaming_message(request(text, false))
            .await?
            .into_inner();
        match stream.message().await?.and_then(|event| event.payload) {
            Some(Event::Task(task)) => Ok((stream, task)),
            other => Err(Status::internal(format!("a stream began with {other:?}"))),
        }
    }

    async fn watch(&self, random: &mut Random, ledger: &Ledger) -> Result<(), Status> {
        let text = format!("ticks:{}:1000:0:16", 1 + random.below(40));
        let (mut stream, task) = self.stream(&text).await?;
        ledger.note(&task.id, Kind::Stream, state(&task));
        while let Some(event) = stream.message().await? {
            if let Some(Event::StatusUpdate(update)) = event.payload {
                let state = update.status.map(|status| status.state()).unwrap_or_default();
                ledger.note(&update.task_id, Kind::Stream, state);
            }
        }
        Ok(())
    }
}

fn request(text: &str, return_immediately: bool) -> SendMessageRequest {
    let part = Part {
        content: Some(Content::Text(text.to_owned())),
        ..Part::default()
    };
    SendMessageRequest {
        message: Some(Message {
            message_id: uuid::Uuid::new_v4().to_string(),
            role: Role::User.into(),
            parts: vec![part],
            ..Message::default()
        }),
        configuration: Some(SendMessageConfiguration {
            return_immediately,
            ..SendMessageConfiguration::default()
        }),
        ..SendMessageRequest::default()
    }
}

pub(super) fn state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default()
}

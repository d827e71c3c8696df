//! A dispatcher on a clock that stands still, with tasks in memory and a receiver that is a function.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use tokio::time::Instant;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::egress::{Error, Refusal};
use crate::pb::TaskState;
use crate::push::{Answer, Dispatcher, Needs, PushSettings, Pushes, Transport};
use crate::repository::conformance::{NOW_MS, Sketch, push_config, scope};
use crate::repository::memory::MemoryRepository;
use crate::repository::{Delivery, DeliveryFilter, PushRepository, TaskRepository};
use crate::shutdown::Shutdown;

/// How a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Status(u16),
    /// By a status and `Retry-After`.
    Later(u16, &'static str),
    /// By 200 after so long.
    After(Duration),
    /// By nothing.
    Fail(Error),
    Never,
}

/// A request that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// How long after the beginning.
    pub(super) at: Duration,
    pub(super) url: String,
    pub(super) id: String,
    pub(super) body: String,
}

type Script = dyn Fn(&Sent, usize) -> Reply + Send + Sync;

/// Answers as its script says, which is told how often the same delivery came before.
pub(super) struct Receiver {
    script: Box<Script>,
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sent: Vec<Sent>,
    under_way: HashMap<String, usize>,
    /// The most requests at once: by URL, by host and of all.
    most: HashMap<String, usize>,
    /// Requests that were dropped before their answer.
    dropped: usize,
}

/// Counts a request for as long as it is under way.
struct UnderWay<'a> {
    receiver: &'a Receiver,
    keys: [String; 3],
    is_answered: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut seen = self.receiver.seen.lock().unwrap();
        for key in &self.keys {
            *seen.under_way.get_mut(key).unwrap() -= 1;
        }
        seen.dropped += usize::from(!self.is_answered);
    }
}

impl Receiver {
    fn begin(&self, request: &Request<Bytes>) -> (UnderWay<'_>, Reply) {
        let (url, host) = (
            request.uri().to_string(),
            request.uri().host().unwrap().to_owned(),
        );
        let sent = Sent {
            at: self.began.elapsed(),
            url: url.clone(),
            id: request.headers()["a2a-notification-id"]
                .to_str()
                .unwrap()
                .to_owned(),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        };
        let mut seen = self.seen.lock().unwrap();
        let before = seen.sent.iter().filter(|one| one.id == sent.id).count();
        let reply = (self.script)(&sent, before);
        seen.sent.push(sent);
        let keys = [url, host, "all".to_owned()];
        for key in &keys {
            let now = seen.under_way.entry(key.clone()).or_default();
            *now += 1;
            let now = *now;
            let most = seen.most.entry(key.clone()).or_default();
            *most = now.max(*most);
        }
        let under_way = UnderWay {
            receiver: self,
            keys,
            is_answered: false,
        };
        (under_way, reply)
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.seen.lock().unwrap().sent.clone()
    }

    /// The most requests at once to a URL, to a host or, as `all`, of all.
    pub(super) fn most(&self, key: &str) -> usize {
        self.seen.lock().unwrap().most.get(key).copied().unwrap_or(0)
    }

    pub(super) fn dropped(&self) -> usize {
        self.seen.lock().unwrap().dropped
    }
}

#[async_trait]
impl Transport for Receiver {
    fn target(&self, url: &str) -> Result<Uri, Refusal> {
        url.parse().map_err(|_| Refusal::Form)
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Answer, Error> {
        let (mut under_way, reply) = self.begin(&request);
        let (status, retry_after) = match reply {
            Reply::Status(status) => (status, None),
            Reply::Later(status, text) => (status, Some(text.to_owned())),
            Reply::After(time) => {
                tokio::time::sleep(time).await;
                (200, None)
            }
            Reply::Fail(error) => {
                under_way.is_answered = true;
                return Err(error);
            }
            Reply::Never => std::future::pending().await,
        };
        under_way.is_answered = true;
        Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after,
        })
    }
}

/// Tasks, and what delivers them.
pub(super) struct World {
    pub(super) repository: Arc<MemoryRepository>,
    pub(super) receiver: Arc<Receiver>,
    pub(super) pushes: Pushes,
    pub(super) shutdown: Shutdown,
    clock: Clock,
    settings: PushSettings,
}

impl World {
    /// Nothing is delivered before [`World::start`].
    pub(super) fn new(
        settings: PushSettings,
        script: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let clock = Clock::of_timers(NOW_MS);
        Self {
            repository: Arc::new(MemoryRepository::with_clock(clock.clone())),
            receiver: Arc::new(Receiver {
                script: Box::new(script),
                began: Instant::now(),
                seen: Mutex::default(),
            }),
            pushes: Pushes::default(),
            shutdown: Shutdown::new(),
            clock,
            settings,
        }
    }

    pub(super) fn outbox(&self) -> Arc<dyn PushRepository> {
        self.repository.clone()
    }

    pub(super) fn start(&self) {
        self.start_on(self.outbox());
    }

    pub(super) fn start_on(&self, outbox: Arc<dyn PushRepository>) {
        let needs = Needs {
            outbox,
            tasks: self.repository.clone(),
            transport: self.receiver.clone(),
            signer: None,
            clock: self.clock.clone(),
            audit: Audit::off(),
            shutdown: self.shutdown.clone(),
        };
        Dispatcher::start(needs, self.settings.clone(), self.pushes.clone());
    }

    /// Another process with the same tasks.
    pub(super) fn next(&self) -> Self {
        Self {
            repository: self.repository.clone(),
            receiver: self.receiver.clone(),
            pushes: Pushes::default(),
            shutdown: Shutdown::new(),
            clock: self.clock.clone(),
            settings: self.settings.clone(),
        }
    }

    /// A task of an owner with a webhook, and so many events for it: the task itself, chunks, and its end.
    pub(super) async fn task(&self, owner: &str, id: &str, url: &str, events: usize) {
        let mut sketch = Sketch::new(&scope(owner), id);
        let mut create = sketch.create();
        create.push_configs = vec![push_config(id, "c", url)];
        self.repository.commit(create).await.unwrap();
        for number in 2..events {
            let chunk = sketch.chunks(&[&format!("chunk {number}")]);
            self.repository.commit(chunk).await.unwrap();
        }
        if events > 1 {
            let end = sketch.go(TaskState::Completed);
            self.repository.commit(end).await.unwrap();
        }
        self.pushes.ring();
    }

    pub(super) async fn deliveries(&self) -> Vec<Delivery> {
        let all = DeliveryFilter::default();
        self.repository.deliveries(&all, None, 1_000).await.unwrap()
    }

    /// Waits until nothing is left to deliver.
    pub(super) async fn all_delivered(&self) {
        while self.repository.backlog(1).await.unwrap().waiting > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

//! Agents that answer as a test says, on a clock that stands still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use tower::service_fn;

use crate::client::transport::Transport;
use crate::client::upload::{Content, ContentReader};
use crate::client::{AgentError, Answer, Call, Error, Reply, Request, Target};
use crate::context::Binding;
use crate::error::Kind;
use crate::pb::{GetTaskRequest, Message, Part, SendMessageRequest, SendMessageResponse, Task};

type Plan = dyn Fn(usize, &Call) -> (Duration, Result<(), Error>) + Send + Sync;

/// An agent that takes a time and then succeeds or fails, as `plan` says for the number of the call.
#[derive(Clone)]
pub(in crate::client) struct Script(Arc<Inner>);

struct Inner {
    plan: Box<Plan>,
    calls: Mutex<Vec<Call>>,
    now: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicUsize,
}

struct Now<'a>(&'a Inner);

impl Drop for Now<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Script {
    pub(in crate::client) fn new(
        plan: impl Fn(usize, &Call) -> (Duration, Result<(), Error>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            plan: Box::new(plan),
            calls: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        }))
    }

    pub(in crate::client) fn transport(&self) -> Transport {
        let inner = self.0.clone();
        Transport::new(service_fn(move |call| answer(inner.clone(), call)))
    }

    pub(in crate::client) fn calls(&self) -> usize {
        self.0.calls.lock().unwrap().len()
    }

    pub(in crate::client) fn received(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    pub(in crate::client) fn most_at_once(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    /// Calls that nobody waited for to the end.
    pub(in crate::client) fn dropped(&self) -> usize {
        self.calls() - self.0.answered.load(Ordering::SeqCst) - self.0.now.load(Ordering::SeqCst)
    }
}

async fn answer(inner: Arc<Inner>, call: Call) -> Result<Reply, Error> {
    let (takes, result) = {
        let mut calls = inner.calls.lock().unwrap();
        let planned = (inner.plan)(calls.len(), &call);
        calls.push(call.clone());
        planned
    };
    let now = inner.now.fetch_add(1, Ordering::SeqCst) + 1;
    let _now = Now(&inner);
    inner.most.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(takes).await;
    inner.answered.fetch_add(1, Ordering::SeqCst);
    result.map(|()| Reply {
        answer: match call.request {
            Request::SendMessage(_) => Answer::Sent(SendMessageResponse::default()),
            _ => Answer::Task(Task::default()),
        },
        parameters: HeaderMap::new(),
    })
}

pub(in crate::client) fn get() -> Call {
    Call::new(Request::GetTask(GetTaskRequest::default()))
}

pub(in crate::client) fn send() -> Call {
    Call::new(Request::SendMessage(SendMessageRequest::default()))
}

/// A send with an upload, of nothing.
pub(in crate::client) fn uploading() -> Call {
    let mut call = send();
    let mut message = Message::default();
    call.uploads.attach(&mut message, Part::default(), Nothing);
    call
}

#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Content for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn length(&self) -> u64 {
        0
    }

    async fn open(&self) -> std::io::Result<ContentReader> {
        Ok(Box::pin(tokio::io::empty()))
    }
}

pub(in crate::client) fn unreachable() -> Error {
    Error::Unreachable {
        address: "there".to_owned(),
        cause: "away".to_owned(),
    }
}

pub(in crate::client) fn interrupted() -> Error {
    Error::Interrupted {
        address: "there".to_owned(),
        cause: "cut".to_owned(),
    }
}

pub(in crate::client) fn refused(kind: Kind, retry_after: Option<Duration>) -> Error {
    let error = AgentError {
        kind,
        code: String::new(),
        message: String::new(),
        violations: Vec::new(),
        metadata: Default::default(),
        retry_after,
        challenge: None,
    };
    error.into()
}

pub(in crate::client) fn target(tenant: &str) -> Target {
    Target {
        binding: Binding::Grpc,
        url: http::Uri::from_static("http://there:80"),
        tenant: tenant.to_owned(),
        version: "1.0".to_owned(),
        card: None,
    }
}

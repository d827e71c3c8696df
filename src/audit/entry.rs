//! What is to be recorded, before it has its place in a chain: handles of what is known already, nothing copied.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::record::{Kind, Outcome, Record, text};
use crate::access::{Caller, CredentialKind, Method, Principal};
use crate::context::{Binding, CallContext, TraceContext};
use crate::pb::TaskState;

/// Who changes the state of a task.
#[derive(Clone, Debug)]
pub enum Author {
    /// The runtime itself: recovery, deadlines, an agent that broke the protocol.
    Runtime,
    /// The agent of the task, working on a request.
    Agent(Arc<str>, Request),
    /// A caller, by its call.
    Caller(Arc<Caller>, Request),
}

/// The request that something was done for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id under which it is logged.
    pub id: Arc<str>,
    /// The trace that its caller is in.
    pub trace: Option<Arc<TraceContext>>,
}

impl Author {
    /// Whoever makes this call.
    pub fn caller(call: &CallContext) -> Self {
        let request = Request {
            id: call.request_id.clone(),
            trace: call.trace.clone(),
        };
        Self::Caller(call.caller.clone(), request)
    }

    /// The agent of this name, for a request.
    pub fn agent(name: &Arc<str>, id: &Arc<str>, trace: &Option<Arc<TraceContext>>) -> Self {
        let request = Request {
            id: id.clone(),
            trace: trace.clone(),
        };
        Self::Agent(name.clone(), request)
    }

    fn fill<'a>(&'a self, record: &mut Record<'a>) {
        let request = match self {
            Self::Runtime => {
                record.principal = Some(Cow::Borrowed("runtime"));
                return;
            }
            Self::Agent(name, request) => {
                record.principal = text(name).map(|name| Cow::Owned(format!("agent:{name}")));
                request
            }
            Self::Caller(caller, request) => {
                fill_caller(record, caller);
                request
            }
        };
        record.request_id = text(&request.id);
        record.trace_id = trace_id(&request.trace);
    }
}

/// A change of a task's state, as its writer knows it.
#[derive(Clone, Debug)]
pub(crate) struct StateChange {
    /// The number of the event in the task's log.
    pub(crate) generation: u64,
    /// The state before; `None` for a new task.
    pub(crate) from: Option<TaskState>,
    /// The state after.
    pub(crate) to: TaskState,
    /// Who did it.
    pub(crate) author: Author,
}

/// Somebody who showed a credential that does not count.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// Where the connection came from.
    pub peer: Option<SocketAddr>,
    /// The binding.
    pub binding: Binding,
    /// What kind of credential it was.
    pub credential: CredentialKind,
    /// Why it does not count, as a fixed word: nothing of the credential itself may be in it.
    pub reason: &'static str,
    /// The id under which the request was answered.
    pub request_id: Arc<str>,
    /// The trace that the request was in.
    pub trace: Option<Arc<TraceContext>>,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Arc<Caller>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) binding: Binding,
    pub(super) method: Method,
    pub(super) agent: Arc<str>,
    pub(super) task_id: String,
    pub(super) context_id: String,
    pub(super) request_id: Arc<str>,
    pub(super) trace: Option<Arc<TraceContext>>,
    pub(super) outcome: &'static str,
}

/// A change of a task's state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) agent: Arc<str>,
    pub(super) owner: Principal,
    pub(super) task_id: Arc<str>,
    pub(super) context_id: Arc<str>,
    pub(super) change: StateChange,
    pub(super) outcome: Outcome,
}

/// The end of a push configuration, by its receiver.
#[derive(Debug)]
pub(super) struct PushEnd {
    pub(super) agent: Arc<str>,
    pub(super) owner: Principal,
    pub(super) task_id: Arc<str>,
    pub(super) config_id: Arc<str>,
}

/// What is to be recorded.
#[derive(Debug)]
pub(super) enum What {
    Call(Box<Call>),
    Stranger(Box<Stranger>),
    State(Box<State>),
    PushEnd(Box<PushEnd>),
}

/// What is to be recorded, and when it was, in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at_ms: i64,
    pub(super) what: What,
}

impl Entry {
    pub(super) fn record(&self) -> Record<'_> {
        match &self.what {
            What::Call(call) => call.record(),
            What::Stranger(stranger) => stranger.record(),
            What::State(state) => state.record(),
            What::PushEnd(end) => end.record(),
        }
    }

    pub(super) fn is_of_stranger(&self) -> bool {
        matches!(self.what, What::Stranger(_))
    }
}

impl Call {
    fn record(&self) -> Record<'_> {
        let mut record = Record {
            peer: peer(self.peer),
            binding: Some(Cow::Borrowed(self.binding.as_str())),
            method: Some(Cow::Borrowed(self.method.as_str())),
            agent: text(&self.agent),
            task_id: text(&self.task_id),
            context_id: text(&self.context_id),
            request_id: text(&self.request_id),
            trace_id: trace_id(&self.trace),
            ..Record::about(Kind::Call, self.outcome)
        };
        fill_caller(&mut record, &self.caller);
        record.owner = text(self.caller.owner.as_str());
        record
    }
}

impl Stranger {
    fn record(&self) -> Record<'_> {
        Record {
            credential: Some(Cow::Borrowed(self.credential.as_str())),
            peer: peer(self.peer),
            binding: Some(Cow::Borrowed(self.binding.as_str())),
            request_id: text(&self.request_id),
            trace_id: trace_id(&self.trace),
            ..Record::about(Kind::Authentication, self.reason)
        }
    }
}

impl State {
    fn record(&self) -> Record<'_> {
        let mut record = Record {
            agent: text(&self.agent),
            task_id: text(&self.task_id),
            context_id: text(&self.context_id),
            from: self.change.from.map(|state| Cow::Borrowed(state.as_str_name())),
            to: Some(Cow::Borrowed(self.change.to.as_str_name())),
            generation: Some(self.change.generation),
            ..Record::about(Kind::State, self.outcome.as_str())
        };
        self.change.author.fill(&mut record);
        record.owner = text(self.owner.as_str());
        record
    }
}

impl PushEnd {
    fn record(&self) -> Record<'_> {
        let mut record = Record {
            agent: text(&self.agent),
            owner: text(self.owner.as_str()),
            task_id: text(&self.task_id),
            config_id: text(&self.config_id),
            ..Record::about(Kind::Push, Outcome::Ok.as_str())
        };
        Author::Runtime.fill(&mut record);
        record
    }
}

fn fill_caller<'a>(record: &mut Record<'a>, caller: &'a Caller) {
    record.principal = text(caller.principal.as_str());
    record.organisation = caller.organisation.as_deref().and_then(text);
    record.credential = Some(Cow::Borrowed(caller.credential.kind.as_str()));
    record.credential_id = text(&caller.credential.id);
}

fn peer<'a>(peer: Option<SocketAddr>) -> Option<Cow<'a, str>> {
    peer.map(|peer| Cow::Owned(peer.to_string()))
}

fn trace_id(trace: &Option<Arc<TraceContext>>) -> Option<Cow<'_, str>> {
    trace.as_ref().map(|trace| Cow::Borrowed(trace.trace_id()))
}

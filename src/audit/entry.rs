//! What is to be recorded, before it has its place in a chain: handles of what is known already, nothing copied.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::record::{Kind, Outcome, Record, Removed, text};
use super::shares::Share;
use crate::access::{Caller, CredentialKind, Principal};
use crate::context::{Binding, CallContext, TraceContext};
use crate::pb::TaskState;

/// The name of the runtime itself, as one that does something.
const RUNTIME: &str = "runtime";

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
                record.principal = Some(Cow::Borrowed(RUNTIME));
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

/// A client certificate that does not hold, or not any more.
#[derive(Clone, Debug)]
pub struct BadCertificate {
    /// Where the connection came from.
    pub peer: SocketAddr,
    /// The name in it.
    pub name: Option<Principal>,
    /// Its SHA-256 in hex; empty where none was shown.
    pub fingerprint: String,
    /// What is wrong with it, as a fixed word.
    pub reason: &'static str,
}

/// A call, or what is decided on the way of one: a card, or the end of its stream.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) caller: Arc<Caller>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) binding: Binding,
    pub(super) method: Option<&'static str>,
    pub(super) agent: Arc<str>,
    pub(super) task_id: String,
    pub(super) context_id: String,
    /// What an operator asks for.
    pub(super) filter: String,
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

/// A pass of retention.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) removed: Removed,
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
    /// With the caller's share of the queue, which is given back when the record is in the chain.
    Call(
        Box<Call>,
        #[expect(dead_code, reason = "dropping it gives the share back")] Option<Share>,
    ),
    Stranger(Box<Stranger>),
    /// A certificate that was refused in its handshake: of a stranger too.
    Refused(Box<BadCertificate>),
    /// A certificate whose connection was cut.
    Cut(Box<BadCertificate>),
    Retention(Pass),
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
            What::Call(call, _) => call.record(),
            What::Stranger(stranger) => stranger.record(),
            What::Refused(certificate) => certificate.refused(),
            What::Cut(certificate) => certificate.cut(),
            What::Retention(pass) => pass.record(),
            What::State(state) => state.record(),
            What::PushEnd(end) => end.record(),
        }
    }

    pub(super) fn is_of_stranger(&self) -> bool {
        matches!(self.what, What::Stranger(_) | What::Refused(_))
    }
}

impl Call {
    /// One that nobody has answered yet, about no task.
    pub(super) fn of(call: &CallContext, kind: Kind, method: Option<&'static str>, agent: Arc<str>) -> Self {
        Self {
            kind,
            caller: call.caller.clone(),
            peer: call.peer,
            binding: call.binding,
            method,
            agent,
            task_id: String::new(),
            context_id: String::new(),
            filter: String::new(),
            request_id: call.request_id.clone(),
            trace: call.trace.clone(),
            outcome: Outcome::Abandoned.as_str(),
        }
    }

    fn record(&self) -> Record<'_> {
        let mut record = Record {
            peer: peer(self.peer),
            binding: Some(Cow::Borrowed(self.binding.as_str())),
            method: self.method.map(Cow::Borrowed),
            agent: text(&self.agent),
            task_id: text(&self.task_id),
            context_id: text(&self.context_id),
            filter: text(&self.filter),
            request_id: text(&self.request_id),
            trace_id: trace_id(&self.trace),
            ..Record::about(self.kind, self.outcome)
        };
        fill_caller(&mut record, &self.caller);
        if self.kind != Kind::Admin {
            record.owner = text(self.caller.owner.as_str());
        }
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

impl BadCertificate {
    /// The name in a certificate that was refused is a claim and nothing more.
    fn refused(&self) -> Record<'_> {
        Record {
            claims: self.name.as_ref().and_then(|name| text(name.as_str())),
            ..self.record(Kind::Authentication)
        }
    }

    fn cut(&self) -> Record<'_> {
        Record {
            principal: self.name.as_ref().and_then(|name| text(name.as_str())),
            ..self.record(Kind::Connection)
        }
    }

    fn record(&self, kind: Kind) -> Record<'_> {
        let credential = match self.fingerprint.is_empty() {
            true => CredentialKind::None,
            false => CredentialKind::Certificate,
        };
        Record {
            credential: Some(Cow::Borrowed(credential.as_str())),
            credential_id: text(&self.fingerprint),
            peer: peer(Some(self.peer)),
            ..Record::about(kind, self.reason)
        }
    }
}

impl Pass {
    fn record(&self) -> Record<'_> {
        Record {
            principal: Some(Cow::Borrowed(RUNTIME)),
            removed: Some(self.removed),
            ..Record::about(Kind::Retention, self.outcome.as_str())
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

//! What is to be recorded, before it has its place in a chain: handles of what is known already, nothing copied.

use std::net::SocketAddr;
use std::sync::Arc;

use super::record::{Kind, Outcome, Removed};
use super::shares::Share;
use crate::access::{Caller, CredentialKind, Principal};
use crate::context::{Binding, CallContext, Scope, TraceContext};
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

    /// The request that it was for.
    pub(super) fn request(&self) -> Option<&Request> {
        match self {
            Self::Runtime => None,
            Self::Agent(_, request) | Self::Caller(_, request) => Some(request),
        }
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

/// The changes of one task's state that a write holds.
#[derive(Debug)]
pub(crate) struct TaskChanges {
    /// Whose task of which agent it is.
    pub(crate) scope: Scope,
    /// The task.
    pub(crate) task_id: Arc<str>,
    /// Its context.
    pub(crate) context_id: Arc<str>,
    /// The changes in their order; at least one.
    pub(crate) changes: Vec<StateChange>,
}

impl TaskChanges {
    /// The request that all of them were made for, if it is one.
    pub(super) fn request(&self) -> Option<&Arc<str>> {
        let mut requests = self.changes.iter().map(|change| change.author.request());
        let first = &requests.next()??.id;
        let is_the_same = |request: Option<&Request>| request.is_some_and(|own| Arc::ptr_eq(&own.id, first));
        requests.all(is_the_same).then_some(first)
    }
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
    /// What it changed, and when, as far as that is written together with it.
    pub(super) changes: Vec<(i64, Arc<TaskChanges>)>,
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
    /// Changes that a write holds, and what became of it.
    Changes(Arc<TaskChanges>, Outcome),
    /// Changes that stand in the record of their call.
    Gathered,
    PushEnd(Box<PushEnd>),
}

/// What is to be recorded, and when it was, in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at_ms: i64,
    pub(super) what: What,
}

impl Entry {
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
            changes: Vec::new(),
        }
    }
}

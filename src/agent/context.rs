//! What an execution knows about the request it works on.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Delegation, DelegationLimits};
use crate::access::Caller;
use crate::context::{CallContext, TraceContext};
use crate::pb::{Message, SendMessageConfiguration, Struct, Task, part, value};
use crate::quota::Permit;

/// The member of metadata that names the skill which a message is for, by its id in the agent's card.
pub const SKILL_ID: &str = "skillId";

/// Reads tasks on behalf of an execution, in the scope of the caller that started it.
#[async_trait]
pub trait TaskReader: Send + Sync {
    /// The task that the execution works on, as far as it has been written.
    fn current(&self) -> Task;

    /// Another task of the same owner at the same agent; `None` if there is none.
    async fn task(&self, id: &str) -> Option<Task>;
}

/// One message for an agent, with what came along. Cheap to clone.
///
/// The message is stored with the task; what came along is not. When the process dies and another one hands the message
/// to the agent, `configuration`, `metadata` and `trace` are `None`, `extensions` is empty, `request_id` is a new one, and
/// `caller` is the owner of the task by name. An agent that needs more after a crash writes it down with the task, as the
/// metadata of a status or an artifact for example, or asks callers to put it into the message's own metadata.
#[derive(Clone)]
pub struct RequestContext {
    /// The task's id.
    pub task_id: Arc<str>,
    /// The id of the conversation that the task belongs to (specification 3.4.1).
    pub context_id: Arc<str>,
    /// The message to work on; it is already the last one of the task's history.
    pub message: Arc<Message>,
    /// How the caller wants to be answered: accepted media types and the like. `None` after a crash.
    pub configuration: Option<Arc<SendMessageConfiguration>>,
    /// The request's metadata, not that of the message. `None` after a crash.
    pub metadata: Option<Arc<Struct>>,
    /// Who sent the message.
    pub caller: Arc<Caller>,
    /// The trace that the caller is in, to be handed on to whatever the agent calls.
    pub trace: Option<Arc<TraceContext>>,
    /// The id under which the request is logged.
    pub request_id: Arc<str>,
    /// The extensions that the caller activated (`A2A-Extensions`).
    pub extensions: Arc<[String]>,
    /// True if the message continues a task that existed before.
    pub follow_up: bool,
    pub(crate) delegation: Delegation,
    pub(crate) attempt: u32,
    /// Counts the execution until it begins; then the runtime keeps it, and not an agent that keeps its request.
    pub(crate) permit: Option<Arc<Permit>>,
    pub(crate) tasks: Arc<dyn TaskReader>,
}

impl RequestContext {
    /// A request as the runtime builds it; public so that agents can be tested without a runtime.
    pub fn new(
        call: &CallContext,
        task_id: Arc<str>,
        context_id: Arc<str>,
        message: Arc<Message>,
        tasks: Arc<dyn TaskReader>,
    ) -> Self {
        Self {
            task_id,
            context_id,
            message,
            configuration: None,
            metadata: None,
            caller: call.caller.clone(),
            trace: call.trace.clone(),
            request_id: call.request_id.clone(),
            extensions: call.extensions.clone(),
            follow_up: false,
            delegation: Delegation::new(
                call.chain.unwrap_or_default(),
                DelegationLimits::default(),
                call.trace.clone(),
            ),
            attempt: 1,
            permit: None,
            tasks,
        }
    }

    /// What the request may hand on to other agents.
    ///
    /// After a crash it goes on where the request stood in its chain, with the budget that it came with: what the attempt
    /// before had used of it is not known. A chain so never gets longer, and a tree has at most as many calls for each
    /// execution as its budget times `execution.attempts_max`.
    pub fn delegation(&self) -> &Delegation {
        &self.delegation
    }

    /// How often the agent has begun to work on this message, this time included: 1 unless a process died on it.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The text of all text parts, joined by line ends; borrowed when there is just one.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.message.parts.iter().filter_map(|part| match &part.content {
            Some(part::Content::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        let first = texts.next().unwrap_or_default();
        match texts.next() {
            None => Cow::Borrowed(first),
            Some(second) => {
                let mut joined = format!("{first}\n{second}");
                for text in texts {
                    joined.push('\n');
                    joined.push_str(text);
                }
                Cow::Owned(joined)
            }
        }
    }

    /// The id of the skill that the message is for, if it names one: the text [`SKILL_ID`] in the metadata of the message or
    /// of the request. Where a caller's roles are limited to some skills, this is one of them, and what the agent has to
    /// hold itself to.
    pub fn skill(&self) -> Option<&str> {
        let named = [self.message.metadata.as_ref(), self.metadata.as_deref()];
        named.into_iter().flatten().find_map(|metadata| {
            match metadata
                .fields
                .get(SKILL_ID)
                .and_then(|value| value.kind.as_ref())
            {
                Some(value::Kind::StringValue(skill)) => Some(skill.as_str()),
                _ => None,
            }
        })
    }

    /// The bytes of the first raw part with this file name.
    pub fn raw_part(&self, filename: &str) -> Option<&Bytes> {
        self.message.parts.iter().find_map(|part| match &part.content {
            Some(part::Content::Raw(raw)) if part.filename == filename => Some(raw),
            _ => None,
        })
    }

    /// A copy of the task as it stands, with its history and artifacts.
    pub fn task(&self) -> Task {
        self.tasks.current()
    }

    /// The tasks that the message refers to (`referenceTaskIds`), as far as they exist and are the caller's own.
    pub async fn referenced_tasks(&self) -> Vec<Task> {
        let mut found = Vec::new();
        for id in &self.message.reference_task_ids {
            found.extend(self.tasks.task(id).await);
        }
        found
    }
}

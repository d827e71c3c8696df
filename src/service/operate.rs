//! The way of every call: its record is opened, it is let in or not, it is served, and the record says how it ended.

use std::sync::Arc;

use super::guard::Admission;
use super::{AgentService, Method};
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::EventStream;
use crate::pb::send_message_response::Payload;
use crate::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig,
};

impl AgentService {
    /// Serves one call. There is no other way to an operation: each needs an [`Admission`], and its record is made here.
    ///
    /// # Errors
    /// UNAVAILABLE when the call could not be recorded; what the guard and the operation say.
    pub(super) async fn operate<Q: Asked, A: Answered, F>(
        &self,
        call: &CallContext,
        method: Method,
        request: Q,
        operation: impl FnOnce(Admission, Q) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let inner = &self.0;
        let audit = inner.executions.audit();
        let agent = || inner.name_of(call, request.tenant());
        let mut record = audit.call(call, method, agent, request.about())?;
        let outcome = match inner.admit(call, method, request.tenant()) {
            Ok(admission) => operation(admission, request).await,
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(answer) => {
                if let Some((task_id, context_id)) = answer.about() {
                    record.names(task_id, context_id);
                }
                record.ends(None);
            }
            Err(error) => record.ends(Some(error)),
        }
        outcome
    }
}

impl super::Inner {
    /// The agent that a call names, hosted or not.
    fn name_of(&self, call: &CallContext, tenant: &str) -> Arc<str> {
        match self.addressed(call, tenant) {
            Ok(agent) => agent.name.clone(),
            Err(_) if tenant.is_empty() => call.path_agent.clone().unwrap_or_default(),
            Err(_) => Arc::from(tenant),
        }
    }
}

/// What a request names.
pub(super) trait Asked {
    /// The agent.
    fn tenant(&self) -> &str;
    /// The task and the context; empty where there is none.
    fn about(&self) -> (&str, &str);
}

/// What an answer is about: the task and its context, where it says so.
pub(super) trait Answered {
    fn about(&self) -> Option<(&str, &str)>;
}

macro_rules! asked {
    ($($request:ty: $task_id:ident;)*) => {$(
        impl Asked for $request {
            fn tenant(&self) -> &str {
                &self.tenant
            }

            fn about(&self) -> (&str, &str) {
                (&self.$task_id, "")
            }
        }
    )*};
}

asked! {
    GetTaskRequest: id;
    CancelTaskRequest: id;
    SubscribeToTaskRequest: id;
    TaskPushNotificationConfig: task_id;
    GetTaskPushNotificationConfigRequest: task_id;
    ListTaskPushNotificationConfigsRequest: task_id;
    DeleteTaskPushNotificationConfigRequest: task_id;
}

impl Asked for SendMessageRequest {
    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn about(&self) -> (&str, &str) {
        let message = self.message.as_ref();
        message.map_or(("", ""), |message| (&message.task_id, &message.context_id))
    }
}

impl Asked for ListTasksRequest {
    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn about(&self) -> (&str, &str) {
        ("", &self.context_id)
    }
}

impl Asked for GetExtendedAgentCardRequest {
    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn about(&self) -> (&str, &str) {
        ("", "")
    }
}

impl Answered for Task {
    fn about(&self) -> Option<(&str, &str)> {
        Some((&self.id, &self.context_id))
    }
}

impl Answered for SendMessageResponse {
    fn about(&self) -> Option<(&str, &str)> {
        match self.payload.as_ref()? {
            Payload::Task(task) => task.about(),
            Payload::Message(message) => Some(("", &message.context_id)),
        }
    }
}

impl Answered for EventStream {
    fn about(&self) -> Option<(&str, &str)> {
        self.task_id().map(|task_id| (task_id, ""))
    }
}

macro_rules! answered_by_the_request {
    ($($answer:ty),*) => {$(
        impl Answered for $answer {
            fn about(&self) -> Option<(&str, &str)> {
                None
            }
        }
    )*};
}

answered_by_the_request!(
    (),
    AgentCard,
    ListTasksResponse,
    TaskPushNotificationConfig,
    ListTaskPushNotificationConfigsResponse
);

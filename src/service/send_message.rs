//! Send Message and Send Streaming Message (specification 3.1.1, 3.1.2).

use std::sync::Arc;

use super::guard::Admission;
use super::{Inner, Method, guard, history, media, push_config, skill};
use crate::agent::Idempotency;
use crate::context::CallContext;
use crate::error::{Error, Kind, Violation};
use crate::execution::{Answer, EventStream, Incoming, NewTask, Permits, Wait};
use crate::pb::inspect::inspect;
use crate::pb::{
    Message, Part, SendMessageRequest, SendMessageResponse, Task, TaskPushNotificationConfig, part,
    send_message_response::Payload,
};
use crate::task::{check_id, check_label};

impl Inner {
    pub(super) async fn send_message(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, Error> {
        let Checked {
            wait,
            history_length,
            task_id,
            context_id,
            mut incoming,
        } = self.check(call, admission, request)?;
        let key = incoming.key.clone();
        if let Some(known) = self.known_task(admission, key.as_ref()).await? {
            return self.repeat(admission, &known, wait, history_length).await;
        }
        incoming.permits = self.permit(admission, task_id.is_none()).await?;
        // Boxed, because a request's future moves more than once on its way and should be light.
        let answer = Box::pin(self.deliver(admission, task_id, context_id, incoming, wait));
        match self.bounded(answer).await? {
            Answer::Task(task, _) => Ok(self.response(*task, history_length)),
            Answer::Message(message) => Ok(SendMessageResponse {
                payload: Some(Payload::Message(*message)),
            }),
            Answer::Known(known) => {
                // Somebody else was quicker with this key; what they asked for must be the same.
                self.known_task(admission, key.as_ref()).await?;
                self.repeat(admission, &known, wait, history_length).await
            }
        }
    }

    pub(super) async fn send_streaming_message(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: SendMessageRequest,
    ) -> Result<EventStream, Error> {
        let Checked {
            task_id,
            context_id,
            mut incoming,
            ..
        } = self.check(call, admission, request)?;
        let key = incoming.key.clone();
        if let Some(known) = self.known_task(admission, key.as_ref()).await? {
            return self
                .executions
                .replay(&admission.agent, &admission.scope, &known)
                .await;
        }
        self.repository.check_push_configs(&incoming.push_configs).await?;
        incoming.permits = self.permit(admission, task_id.is_none()).await?;
        let stream = match task_id {
            Some(task_id) => {
                let (agent, scope) = (&admission.agent, &admission.scope);
                self.check_push_room(scope, &task_id, &incoming.push_configs)
                    .await?;
                self.executions
                    .send_streaming(agent, scope, &task_id, incoming)
                    .await
            }
            None => {
                self.executions
                    .start_streaming(new_task(admission, context_id, incoming))
                    .await
            }
        };
        match stream {
            Ok(stream) => Ok(stream),
            Err(Ok(known)) => {
                self.known_task(admission, key.as_ref()).await?;
                self.executions
                    .replay(&admission.agent, &admission.scope, &known)
                    .await
            }
            Err(Err(error)) => Err(error),
        }
    }

    async fn deliver(
        &self,
        admission: &Admission,
        task_id: Option<String>,
        context_id: Option<String>,
        incoming: Incoming,
        wait: Wait,
    ) -> Result<Answer, Error> {
        self.repository.check_push_configs(&incoming.push_configs).await?;
        let (agent, scope) = (&admission.agent, &admission.scope);
        match task_id {
            Some(task_id) => {
                self.check_push_room(scope, &task_id, &incoming.push_configs)
                    .await?;
                self.executions.send(agent, scope, &task_id, incoming, wait).await
            }
            None => {
                self.executions
                    .start(new_task(admission, context_id, incoming), wait)
                    .await
            }
        }
    }

    /// Answers a repeated send with the task of the first one.
    async fn repeat(
        &self,
        admission: &Admission,
        task_id: &str,
        wait: Wait,
        history_length: Option<i32>,
    ) -> Result<SendMessageResponse, Error> {
        let (agent, scope) = (&admission.agent, &admission.scope);
        let task = match wait {
            Wait::Settled => match self
                .bounded(self.executions.settled(agent, scope, task_id))
                .await?
            {
                Answer::Task(task, _) => *task,
                Answer::Message(_) | Answer::Known(_) => return Err(Error::task_not_found(task_id)),
            },
            Wait::Accepted => {
                let stored = self.repository.get(scope, task_id).await?;
                stored.ok_or_else(|| Error::task_not_found(task_id))?.task
            }
        };
        Ok(self.response(task, history_length))
    }

    fn response(&self, mut task: Task, history_length: Option<i32>) -> SendMessageResponse {
        history::trim(&mut task, history_length, self.settings.history_length_max);
        SendMessageResponse {
            payload: Some(Payload::Task(task)),
        }
    }

    /// A blocking send waits as long as the operator allows; the task goes on in any case.
    async fn bounded(&self, answer: impl Future<Output = Result<Answer, Error>>) -> Result<Answer, Error> {
        let Some(limit) = self.settings.blocking_wait_max else {
            return answer.await;
        };
        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
            Err(Error::new(
                Kind::DeadlineExceeded,
                format!("the task did not settle within {limit:?}; it goes on, and ListTasks shows it"),
            ))
        })
    }

    fn check(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: SendMessageRequest,
    ) -> Result<Checked, Error> {
        inspect(&request, &self.settings.inspect).map_err(Error::violations)?;
        skill::check(call, admission, &request)?;
        let fingerprint_of = self.key(call, admission, &request)?;
        let SendMessageRequest {
            message,
            configuration,
            metadata,
            ..
        } = request;
        let message = message.unwrap_or_default();
        let history_length = configuration
            .as_ref()
            .and_then(|configuration| configuration.history_length);
        self.check_fields(&message, history_length)?;
        media::check_input(&admission.agent.card, &message.parts)?;
        let (mut push_configs, mut wait) = (Vec::new(), Wait::Settled);
        if let Some(configuration) = &configuration {
            media::check_output(&admission.agent.card, &configuration.accepted_output_modes)?;
            push_configs.extend(self.inline_push_config(
                call,
                admission,
                &configuration.task_push_notification_config,
            )?);
            if configuration.return_immediately {
                wait = Wait::Accepted;
            }
        }
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Checked {
            wait,
            history_length,
            task_id: named(&message.task_id),
            context_id: named(&message.context_id),
            incoming: Incoming {
                message,
                configuration,
                metadata,
                call: call.clone(),
                key: fingerprint_of,
                push_configs,
                permits: Permits::default(),
            },
        })
    }

    fn check_fields(&self, message: &Message, history_length: Option<i32>) -> Result<(), Error> {
        let limit = self.settings.id_bytes_max;
        let mut violations = Vec::new();
        let mut check = |field: String, result: Result<(), String>| {
            violations.extend(result.err().map(|description| Violation { field, description }));
        };
        check(
            "message.messageId".into(),
            check_label(&message.message_id, limit),
        );
        check(
            "message.contextId".into(),
            check_label(&message.context_id, limit),
        );
        if !message.task_id.is_empty() {
            check("message.taskId".into(), check_id(&message.task_id, limit));
        }
        for (index, id) in message.reference_task_ids.iter().enumerate() {
            check(format!("message.referenceTaskIds[{index}]"), check_id(id, limit));
        }
        history::check(history_length, "configuration.historyLength", &mut violations);
        if !violations.is_empty() {
            return Err(Error::violations(violations));
        }
        self.check_part_sizes(&message.parts)
    }

    fn check_part_sizes(&self, parts: &[Part]) -> Result<(), Error> {
        let limit = self.settings.part_bytes_max;
        let size = |part: &Part| match &part.content {
            Some(part::Content::Text(text)) => text.len(),
            Some(part::Content::Raw(raw)) => raw.len(),
            Some(part::Content::Url(url)) => url.len(),
            // The size of data is bounded by the body and by the number of nodes.
            Some(part::Content::Data(_)) | None => 0,
        };
        match parts.iter().position(|part| size(part) > limit) {
            None => Ok(()),
            Some(index) => Err(Error::too_large(format!(
                "message.parts[{index}] is larger than {limit} bytes (part_bytes_max); send a URL or several parts"
            ))),
        }
    }

    /// The push configuration that came with a message; the task's id is not known yet.
    fn inline_push_config(
        &self,
        call: &CallContext,
        admission: &Admission,
        config: &Option<TaskPushNotificationConfig>,
    ) -> Result<Option<TaskPushNotificationConfig>, Error> {
        let Some(config) = config else { return Ok(None) };
        let create = Method::CreateTaskPushNotificationConfig;
        guard::check_permission(call, create, &admission.agent.name)?;
        let capabilities = admission.agent.card.capabilities.as_ref();
        if capabilities.and_then(|capabilities| capabilities.push_notifications) != Some(true) {
            return Err(Error::new(
                Kind::PushNotificationNotSupported,
                "the agent's card does not declare the capability pushNotifications",
            ));
        }
        let field = "configuration.taskPushNotificationConfig";
        push_config::complete(config.clone(), field, &self.settings, call, &admission.agent).map(Some)
    }
}

/// A request that may go on.
struct Checked {
    wait: Wait,
    history_length: Option<i32>,
    task_id: Option<String>,
    context_id: Option<String>,
    incoming: Incoming,
}

impl Inner {
    /// Which sends of this agent repeat each other.
    fn key(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: &SendMessageRequest,
    ) -> Result<Option<crate::repository::IdempotencyKey>, Error> {
        let by_message = admission.agent.options.idempotency == Idempotency::MessageId;
        self.idempotency_key(call, request, by_message)
    }
}

fn new_task(admission: &Admission, context_id: Option<String>, incoming: Incoming) -> NewTask {
    NewTask {
        agent: Arc::clone(&admission.agent),
        scope: admission.scope.clone(),
        context_id,
        incoming,
    }
}

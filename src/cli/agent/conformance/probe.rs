//! The checks of one interface.

use std::time::Duration;

use a2ad::client::{Client, Error};
use a2ad::error::Kind;
use a2ad::pb::send_message_response::Payload;
use a2ad::pb::{
    AgentCapabilities, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, Message, Part, Role, SendMessageRequest, SubscribeToTaskRequest, Task,
    TaskPushNotificationConfig, TaskState, part, stream_response,
};
use a2ad::task::{is_settled, is_terminal, new_id};

use super::report::{Report, Verdict};
use crate::cli::agent::connect::Agent;

/// The URL of a push configuration that is deleted before anything is sent there.
const WEBHOOK: &str = "https://webhook.example.com/a2ad-conformance";
/// Events of one stream; an agent that has more to say to a greeting does not come to an end.
const EVENTS_MAX: usize = 1_000;

type Checked = Result<(), Verdict>;

/// One interface, looked at.
pub struct Probe<'a> {
    client: &'a Client,
    can: AgentCapabilities,
    on: &'static str,
    text: &'a str,
    limit: Duration,
    /// What the first send began.
    task: Option<Task>,
}

impl<'a> Probe<'a> {
    pub fn new(agent: &'a Agent, on: &'static str, text: &'a str, limit: Duration) -> Self {
        Self {
            client: &agent.client,
            can: agent.card.capabilities.clone().unwrap_or_default(),
            on,
            text,
            limit,
            task: None,
        }
    }

    /// Does all checks. They build on each other: what the send begins is what the others ask for.
    pub async fn run(mut self, report: &mut Report) {
        let (limit, on) = (self.limit, self.on);
        report
            .check(
                limit,
                on,
                ("SendMessage gives a task or a message", "3.1.1"),
                self.send(),
            )
            .await;
        let probe = &self;
        macro_rules! check {
            ($name:literal, $section:literal, $check:expr) => {
                report.check(limit, on, ($name, $section), $check).await;
            };
        }
        check!("GetTask gives the task that was begun", "3.1.3", probe.get());
        check!("ListTasks has the task that was begun", "3.1.4", probe.list());
        check!(
            "SendStreamingMessage begins with the task and ends",
            "3.1.2",
            probe.stream()
        );
        check!(
            "an unknown task can't be got: TaskNotFoundError",
            "3.3.2",
            probe.get_unknown()
        );
        check!(
            "an unknown task can't be canceled: TaskNotFoundError",
            "3.3.2",
            probe.cancel_unknown()
        );
        check!(
            "an unknown task can't be subscribed to: TaskNotFoundError",
            "3.3.2",
            probe.subscribe_unknown()
        );
        check!(
            "an unknown task can't be continued: TaskNotFoundError",
            "3.4.3",
            probe.send_unknown()
        );
        check!(
            "a task that has ended can't be canceled: TaskNotCancelableError",
            "3.1.5",
            probe.cancel_ended()
        );
        check!(
            "a task that has ended can't be continued: UnsupportedOperationError",
            "3.1.1",
            probe.send_ended()
        );
        check!(
            "a task that has ended can't be subscribed to: UnsupportedOperationError",
            "3.1.6",
            probe.subscribe_ended()
        );
        check!(
            "a message without parts is refused",
            "3.3.2",
            probe.send_nothing()
        );
        check!(
            "a push configuration is created, shown, listed and deleted",
            "3.1.7",
            probe.push()
        );
        check!("the extended card is shown", "3.1.11", probe.extended());
    }

    async fn send(&mut self) -> Checked {
        let response = self.client.send(request(self.text)).await?;
        match response.payload {
            Some(Payload::Task(task)) => {
                for (field, text) in [("id", &task.id), ("contextId", &task.context_id)] {
                    if text.is_empty() {
                        return Err(Verdict::Fail(format!("the task has no {field}")));
                    }
                }
                let state = state_of(&task);
                self.task = Some(task);
                is_settled(state).then_some(()).ok_or_else(|| {
                    fail(format!(
                        "it came back with {}, without waiting",
                        state.as_str_name()
                    ))
                })
            }
            Some(Payload::Message(message)) if message.role() == Role::Agent => Ok(()),
            Some(Payload::Message(_)) => Err(fail("the message is not the agent's")),
            None => Err(fail("the answer holds neither a task nor a message")),
        }
    }

    /// The task, for checks of one.
    fn task(&self) -> Result<&Task, Verdict> {
        let none = || Verdict::Skip("the agent began no task".to_owned());
        self.task.as_ref().ok_or_else(none)
    }

    /// The task, for checks of one that has ended.
    fn ended(&self) -> Result<&Task, Verdict> {
        let task = self.task()?;
        match is_terminal(state_of(task)) {
            true => Ok(task),
            false => Err(Verdict::Skip("the task has not ended".to_owned())),
        }
    }

    async fn get(&self) -> Checked {
        let task = self.task()?;
        let found = self.client.task(get(&task.id)).await?;
        same("id", &found.id, &task.id)?;
        same("contextId", &found.context_id, &task.context_id)
    }

    async fn list(&self) -> Checked {
        let task = self.task()?;
        let request = ListTasksRequest {
            context_id: task.context_id.clone(),
            ..ListTasksRequest::default()
        };
        let page = self.client.tasks(request).await?;
        match page.tasks.iter().any(|one| one.id == task.id) {
            true => Ok(()),
            false => Err(fail("the list of its context does not have it")),
        }
    }

    async fn stream(&self) -> Checked {
        declared(self.can.streaming(), "streaming")?;
        let mut events = self.client.send_streaming(request(self.text)).await?;
        let first = events.message().await?.and_then(|event| event.payload);
        match first {
            Some(stream_response::Payload::Message(_)) => {
                return match events.message().await? {
                    None => Ok(()),
                    Some(_) => Err(fail("something comes behind the message")),
                };
            }
            Some(stream_response::Payload::Task(task)) if is_settled(state_of(&task)) => return Ok(()),
            Some(stream_response::Payload::Task(_)) => {}
            _ => return Err(fail("the first event is neither the task nor a message")),
        }
        for _ in 0..EVENTS_MAX {
            let Some(event) = events.message().await? else {
                return Err(fail("it ends before the task has ended"));
            };
            if let Some(stream_response::Payload::StatusUpdate(update)) = event.payload
                && is_settled(update.status.map(|status| status.state()).unwrap_or_default())
            {
                return Ok(());
            }
        }
        Err(fail(format!("it has more than {EVENTS_MAX} events")))
    }

    async fn get_unknown(&self) -> Checked {
        refused(self.client.task(get(&new_id())).await, &[Kind::TaskNotFound])
    }

    async fn cancel_unknown(&self) -> Checked {
        refused(self.client.cancel(cancel(&new_id())).await, &[Kind::TaskNotFound])
    }

    async fn subscribe_unknown(&self) -> Checked {
        declared(self.can.streaming(), "streaming")?;
        refused(self.subscribed(&new_id()).await, &[Kind::TaskNotFound])
    }

    async fn send_unknown(&self) -> Checked {
        let sent = self.client.send(about(&new_id(), self.text)).await;
        refused(sent, &[Kind::TaskNotFound])
    }

    async fn cancel_ended(&self) -> Checked {
        let canceled = self.client.cancel(cancel(&self.ended()?.id)).await;
        refused(canceled, &[Kind::TaskNotCancelable])
    }

    async fn send_ended(&self) -> Checked {
        let sent = self.client.send(about(&self.ended()?.id, self.text)).await;
        refused(sent, &[Kind::UnsupportedOperation])
    }

    async fn subscribe_ended(&self) -> Checked {
        let id = self.ended()?.id.clone();
        declared(self.can.streaming(), "streaming")?;
        refused(self.subscribed(&id).await, &[Kind::UnsupportedOperation])
    }

    async fn send_nothing(&self) -> Checked {
        let mut request = request("");
        if let Some(message) = &mut request.message {
            message.parts.clear();
        }
        let kinds = [Kind::InvalidParams, Kind::InvalidRequest];
        refused(self.client.send(request).await, &kinds)
    }

    async fn push(&self) -> Checked {
        declared(self.can.push_notifications(), "pushNotifications")?;
        let task_id = &self.task()?.id;
        let config = TaskPushNotificationConfig {
            task_id: task_id.clone(),
            url: WEBHOOK.to_owned(),
            ..TaskPushNotificationConfig::default()
        };
        let id = self.client.create_push_config(config).await?.id;
        let shown = self.shown(task_id, &id).await;
        let delete = DeleteTaskPushNotificationConfigRequest {
            task_id: task_id.clone(),
            id,
            ..DeleteTaskPushNotificationConfigRequest::default()
        };
        // Whatever was found: it does not stay.
        let deleted = self.client.delete_push_config(delete).await;
        shown?;
        Ok(deleted?)
    }

    async fn shown(&self, task_id: &str, id: &str) -> Checked {
        let get = GetTaskPushNotificationConfigRequest {
            task_id: task_id.to_owned(),
            id: id.to_owned(),
            ..GetTaskPushNotificationConfigRequest::default()
        };
        same("url", &self.client.push_config(get).await?.url, WEBHOOK)?;
        let list = ListTaskPushNotificationConfigsRequest {
            task_id: task_id.to_owned(),
            ..ListTaskPushNotificationConfigsRequest::default()
        };
        let listed = self.client.push_configs(list).await?;
        match listed.configs.iter().any(|config| config.id == id) {
            true => Ok(()),
            false => Err(fail("the list does not have it")),
        }
    }

    async fn extended(&self) -> Checked {
        declared(self.can.extended_agent_card(), "extendedAgentCard")?;
        match self.client.extended_card().await {
            Ok(card) if card.name.is_empty() => Err(fail("it has no name")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Some(Kind::Unauthenticated) => {
                Err(Verdict::Skip("it is for callers with a credential".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Subscribes as far as to the first event.
    async fn subscribed(&self, id: &str) -> Result<(), Error> {
        let request = SubscribeToTaskRequest {
            id: id.to_owned(),
            ..SubscribeToTaskRequest::default()
        };
        let mut events = self.client.subscribe(request, None).await?;
        events.message().await.map(drop)
    }
}

fn fail(why: impl Into<String>) -> Verdict {
    Verdict::Fail(why.into())
}

fn declared(is_declared: bool, capability: &str) -> Checked {
    match is_declared {
        true => Ok(()),
        false => Err(Verdict::Skip(format!("the card does not declare {capability}"))),
    }
}

fn same(field: &str, found: &str, expected: &str) -> Checked {
    match found == expected {
        true => Ok(()),
        false => Err(fail(format!("its {field} is {found:?} and not {expected:?}"))),
    }
}

/// What has to be answered with one of these errors.
fn refused<T>(answer: Result<T, Error>, kinds: &[Kind]) -> Checked {
    match answer {
        Err(error) if error.kind().is_some_and(|kind| kinds.contains(&kind)) => Ok(()),
        Err(error) => Err(fail(format!("it is refused otherwise: {error}"))),
        Ok(_) => Err(fail("it is not refused")),
    }
}

fn state_of(task: &Task) -> TaskState {
    let state = task.status.as_ref().map(|status| status.state());
    state.unwrap_or_default()
}

fn request(text: &str) -> SendMessageRequest {
    SendMessageRequest {
        message: Some(Message {
            message_id: new_id(),
            role: Role::User.into(),
            parts: vec![Part {
                content: Some(part::Content::Text(text.to_owned())),
                ..Part::default()
            }],
            ..Message::default()
        }),
        ..SendMessageRequest::default()
    }
}

fn about(task_id: &str, text: &str) -> SendMessageRequest {
    let mut request = request(text);
    if let Some(message) = &mut request.message {
        task_id.clone_into(&mut message.task_id);
    }
    request
}

fn get(id: &str) -> GetTaskRequest {
    GetTaskRequest {
        id: id.to_owned(),
        ..GetTaskRequest::default()
    }
}

fn cancel(id: &str) -> CancelTaskRequest {
    CancelTaskRequest {
        id: id.to_owned(),
        ..CancelTaskRequest::default()
    }
}

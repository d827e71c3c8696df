//! What goes from a caller through the layers to a binding, and what comes back.

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::Error;
use super::events::EventStream;
use super::upload::Uploads;
use crate::access::Method;
use crate::config::Secret;
use crate::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig,
};

/// The service parameter that makes a send safe to repeat: an agent that knows it runs a message once for each key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The request of an operation (specification 3.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Send Message.
    SendMessage(SendMessageRequest),
    /// Send Streaming Message.
    SendStreamingMessage(SendMessageRequest),
    /// Get Task.
    GetTask(GetTaskRequest),
    /// List Tasks.
    ListTasks(ListTasksRequest),
    /// Cancel Task.
    CancelTask(CancelTaskRequest),
    /// Subscribe to Task. With a generation, the stream begins behind it instead of with the task; agents of other
    /// runtimes begin with the task all the same.
    SubscribeToTask(SubscribeToTaskRequest, Option<u64>),
    /// Create Push Notification Config.
    CreateTaskPushNotificationConfig(TaskPushNotificationConfig),
    /// Get Push Notification Config.
    GetTaskPushNotificationConfig(GetTaskPushNotificationConfigRequest),
    /// List Push Notification Configs.
    ListTaskPushNotificationConfigs(ListTaskPushNotificationConfigsRequest),
    /// Delete Push Notification Config.
    DeleteTaskPushNotificationConfig(DeleteTaskPushNotificationConfigRequest),
    /// Get Extended Agent Card.
    GetExtendedAgentCard(GetExtendedAgentCardRequest),
}

impl Request {
    /// The operation.
    pub fn method(&self) -> Method {
        match self {
            Self::SendMessage(_) => Method::SendMessage,
            Self::SendStreamingMessage(_) => Method::SendStreamingMessage,
            Self::GetTask(_) => Method::GetTask,
            Self::ListTasks(_) => Method::ListTasks,
            Self::CancelTask(_) => Method::CancelTask,
            Self::SubscribeToTask(..) => Method::SubscribeToTask,
            Self::CreateTaskPushNotificationConfig(_) => Method::CreateTaskPushNotificationConfig,
            Self::GetTaskPushNotificationConfig(_) => Method::GetTaskPushNotificationConfig,
            Self::ListTaskPushNotificationConfigs(_) => Method::ListTaskPushNotificationConfigs,
            Self::DeleteTaskPushNotificationConfig(_) => Method::DeleteTaskPushNotificationConfig,
            Self::GetExtendedAgentCard(_) => Method::GetExtendedAgentCard,
        }
    }

    /// The field that says which of several agents behind one interface is meant (specification 8.3.2).
    pub fn tenant_mut(&mut self) -> &mut String {
        match self {
            Self::SendMessage(request) | Self::SendStreamingMessage(request) => &mut request.tenant,
            Self::GetTask(request) => &mut request.tenant,
            Self::ListTasks(request) => &mut request.tenant,
            Self::CancelTask(request) => &mut request.tenant,
            Self::SubscribeToTask(request, _) => &mut request.tenant,
            Self::CreateTaskPushNotificationConfig(request) => &mut request.tenant,
            Self::GetTaskPushNotificationConfig(request) => &mut request.tenant,
            Self::ListTaskPushNotificationConfigs(request) => &mut request.tenant,
            Self::DeleteTaskPushNotificationConfig(request) => &mut request.tenant,
            Self::GetExtendedAgentCard(request) => &mut request.tenant,
        }
    }
}

/// A call on its way. Layers may copy it to make it again.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked for.
    pub request: Request,
    /// Service parameters (specification 3.2.6): headers of HTTP, metadata of gRPC. Secrets among them are marked
    /// sensitive. What a connection says of itself is not theirs to say.
    pub parameters: HeaderMap,
    /// What goes into the query of the HTTP bindings: an API key whose scheme says so (specification 4.5.2).
    pub query: Vec<(String, Secret<String>)>,
    /// When the caller stops waiting for the answer, or for a stream to begin. The layers set it, but for calls with
    /// uploads, whose time counts from what went out last.
    pub deadline: Option<Instant>,
    /// The bytes of parts that are empty in the request.
    pub uploads: Uploads,
}

impl Call {
    /// A call without parameters, but for a send, which gets an idempotency key of its own.
    pub fn new(request: Request) -> Self {
        let mut parameters = HeaderMap::new();
        if matches!(
            request.method(),
            Method::SendMessage | Method::SendStreamingMessage
        ) && let Ok(key) = HeaderValue::try_from(crate::task::new_id())
        {
            parameters.insert(IDEMPOTENCY_KEY, key);
        }
        Self {
            request,
            parameters,
            query: Vec::new(),
            deadline: None,
            uploads: Uploads::default(),
        }
    }

    /// The operation.
    pub fn method(&self) -> Method {
        self.request.method()
    }
}

/// What an operation answers.
#[derive(Debug)]
pub enum Answer {
    /// Of Send Message.
    Sent(SendMessageResponse),
    /// Of Send Streaming Message and Subscribe to Task.
    Events(EventStream),
    /// Of Get Task and Cancel Task.
    Task(Task),
    /// Of List Tasks.
    Tasks(ListTasksResponse),
    /// Of Create and Get Push Notification Config.
    PushConfig(TaskPushNotificationConfig),
    /// Of List Push Notification Configs.
    PushConfigs(ListTaskPushNotificationConfigsResponse),
    /// Of Delete Push Notification Config.
    Deleted,
    /// Of Get Extended Agent Card.
    Card(AgentCard),
}

/// An answer, and what came along with it.
#[derive(Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Headers of the HTTP answer, or initial metadata of gRPC.
    pub parameters: HeaderMap,
}

/// Takes the one answer that an operation has.
macro_rules! answers {
    ($($name:ident, $variant:ident, $type:ty;)+) => {
        impl Answer {
            $(
                /// The answer if it is this one.
                ///
                /// # Errors
                /// [`Error::Malformed`] if it is that of another operation.
                pub fn $name(self) -> Result<$type, Error> {
                    match self {
                        Self::$variant(answer) => Ok(answer),
                        _ => Err(Error::Malformed("it is the answer of another operation".to_owned())),
                    }
                }
            )+
        }
    };
}

answers! {
    sent, Sent, SendMessageResponse;
    events, Events, EventStream;
    task, Task, Task;
    tasks, Tasks, ListTasksResponse;
    push_config, PushConfig, TaskPushNotificationConfig;
    push_configs, PushConfigs, ListTaskPushNotificationConfigsResponse;
    card, Card, AgentCard;
}

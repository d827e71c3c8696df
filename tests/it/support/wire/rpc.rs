//! Which call of each binding a request message belongs to.

use std::future::Future;

use a2ad::pb::client::A2aServiceClient;
use a2ad::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, StreamResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig, json,
};
use serde_json::{Map, Value};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::parsed;

type Client = A2aServiceClient<Channel>;

/// Where the HTTP+JSON binding wants a request.
pub struct Route {
    pub verb: &'static str,
    pub path: String,
    pub query: String,
    pub body: Vec<u8>,
}

/// The request of a call with one answer.
pub trait Rpc: serde::Serialize + Clone + Send + 'static {
    type Response: std::fmt::Debug;
    const METHOD: &'static str;

    fn grpc(
        client: &mut Client,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Response>, Status>> + Send;

    fn route(&self) -> Route;

    fn read(json: &[u8]) -> Self::Response;
}

/// The request of a call with a stream of answers.
pub trait StreamRpc: serde::Serialize + Clone + Send + 'static {
    const STREAM_METHOD: &'static str;

    fn grpc_stream(
        client: &mut Client,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Streaming<StreamResponse>>, Status>> + Send;

    fn stream_route(&self) -> Route;
}

macro_rules! rpc {
    ($($request:ty, $method:ident = $name:literal -> $response:ty, $verb:literal $path:literal, $read:expr;)*) => {$(
        impl Rpc for $request {
            type Response = $response;
            const METHOD: &'static str = $name;

            async fn grpc(client: &mut Client, request: Request<Self>) -> Result<Response<$response>, Status> {
                client.$method(request).await
            }

            fn route(&self) -> Route {
                route($verb, $path, self)
            }

            fn read(json: &[u8]) -> $response {
                ($read)(json)
            }
        }
    )*};
}

#[rustfmt::skip]
rpc! {
    SendMessageRequest, send_message = "SendMessage" -> SendMessageResponse, "POST" "/message:send", parsed;
    GetTaskRequest, get_task = "GetTask" -> Task, "GET" "/tasks/{id}", parsed;
    ListTasksRequest, list_tasks = "ListTasks" -> ListTasksResponse, "GET" "/tasks", parsed;
    CancelTaskRequest, cancel_task = "CancelTask" -> Task, "POST" "/tasks/{id}:cancel", parsed;
    TaskPushNotificationConfig, create_task_push_notification_config = "CreateTaskPushNotificationConfig" -> TaskPushNotificationConfig, "POST" "/tasks/{taskId}/pushNotificationConfigs", parsed;
    GetTaskPushNotificationConfigRequest, get_task_push_notification_config = "GetTaskPushNotificationConfig" -> TaskPushNotificationConfig, "GET" "/tasks/{taskId}/pushNotificationConfigs/{id}", parsed;
    ListTaskPushNotificationConfigsRequest, list_task_push_notification_configs = "ListTaskPushNotificationConfigs" -> ListTaskPushNotificationConfigsResponse, "GET" "/tasks/{taskId}/pushNotificationConfigs", parsed;
    DeleteTaskPushNotificationConfigRequest, delete_task_push_notification_config = "DeleteTaskPushNotificationConfig" -> (), "DELETE" "/tasks/{taskId}/pushNotificationConfigs/{id}", |json: &[u8]| assert_eq!(json, b"{}");
    GetExtendedAgentCardRequest, get_extended_agent_card = "GetExtendedAgentCard" -> AgentCard, "GET" "/extendedAgentCard", parsed;
}

macro_rules! stream_rpc {
    ($($request:ty, $method:ident = $name:literal, $verb:literal $path:literal;)*) => {$(
        impl StreamRpc for $request {
            const STREAM_METHOD: &'static str = $name;

            async fn grpc_stream(client: &mut Client, request: Request<Self>) -> Result<Response<Streaming<StreamResponse>>, Status> {
                client.$method(request).await
            }

            fn stream_route(&self) -> Route {
                route($verb, $path, self)
            }
        }
    )*};
}

stream_rpc! {
    SendMessageRequest, send_streaming_message = "SendStreamingMessage", "POST" "/message:stream";
    SubscribeToTaskRequest, subscribe_to_task = "SubscribeToTask", "POST" "/tasks/{id}:subscribe";
}

/// Puts the fields where the binding wants them: into the path, else into the query or the body.
fn route(verb: &'static str, pattern: &str, message: &impl serde::Serialize) -> Route {
    let json = json::to_vec(message).unwrap();
    let mut fields: Map<String, Value> = serde_json::from_slice(&json).unwrap();
    let mut path = pattern.to_owned();
    for name in ["taskId", "id"] {
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            let value = fields.remove(name).unwrap_or_default();
            path = path.replace(&place, &percent(value.as_str().unwrap_or_default()));
        }
    }
    fields.retain(|_, value| *value != Value::String(String::new()));
    if verb == "POST" {
        // An empty body is what the protocol shows for cancel and subscribe.
        let is_empty = fields.is_empty() && pattern.contains("{id}:");
        let body = if is_empty {
            Vec::new()
        } else {
            serde_json::to_vec(&fields).unwrap()
        };
        return Route {
            verb,
            path,
            query: String::new(),
            body,
        };
    }
    let pairs = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={}", percent(text)),
        other => format!("{name}={}", percent(&other.to_string())),
    });
    Route {
        verb,
        path,
        query: pairs.collect::<Vec<_>>().join("&"),
        body: Vec::new(),
    }
}

/// Encodes everything that has a meaning in a path or a query.
pub fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

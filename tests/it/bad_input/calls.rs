//! Calls that name a task.

use a2ad::pb::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    GetTaskRequest, ListTaskPushNotificationConfigsRequest, Message, SendMessageRequest,
    SubscribeToTaskRequest, TaskPushNotificationConfig,
};
use prost::Message as _;

use super::shot::Shot;
use crate::support::messages::{message, send_of};
use crate::support::wire::Wire;
use crate::support::wire::http::envelope;

pub fn get(agent: &str, id: &str) -> GetTaskRequest {
    GetTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
        history_length: None,
    }
}

pub fn cancel(agent: &str, id: &str) -> CancelTaskRequest {
    CancelTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
        metadata: None,
    }
}

/// A subscription, which has no single answer and therefore no typed shot.
pub fn subscribe(agent: &str, id: &str, wire: Wire) -> Shot {
    let message = SubscribeToTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
    };
    match wire {
        Wire::Grpc => Shot::grpc("SubscribeToTask", &message.encode_to_vec()),
        Wire::JsonRpc => Shot::rpc(envelope("SubscribeToTask", &message)),
        Wire::HttpJson => Shot::of("GET", &format!("/{agent}/tasks/{id}:subscribe"), ""),
    }
}

pub fn to_task(agent: &str, task_id: &str, context_id: &str) -> SendMessageRequest {
    let (task_id, context_id) = (task_id.to_owned(), context_id.to_owned());
    send_of(
        agent,
        Message {
            task_id,
            context_id,
            ..message("m", "x")
        },
    )
}

pub fn config(agent: &str, task_id: &str, url: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: agent.to_owned(),
        id: "mine".to_owned(),
        task_id: task_id.to_owned(),
        url: url.to_owned(),
        ..TaskPushNotificationConfig::default()
    }
}

/// Everything that can be asked of a task.
pub fn of_task(agent: &str, id: &str, wire: Wire) -> Vec<Shot> {
    let (tenant, task_id, name) = (agent.to_owned(), id.to_owned(), "mine".to_owned());
    let one = GetTaskPushNotificationConfigRequest {
        tenant,
        task_id,
        id: name,
    };
    let delete = DeleteTaskPushNotificationConfigRequest {
        tenant: one.tenant.clone(),
        task_id: one.task_id.clone(),
        id: one.id.clone(),
    };
    let list = ListTaskPushNotificationConfigsRequest {
        tenant: one.tenant.clone(),
        task_id: one.task_id.clone(),
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    vec![
        Shot::typed(&get(agent, id), wire),
        Shot::typed(&cancel(agent, id), wire),
        subscribe(agent, id, wire),
        Shot::typed(&to_task(agent, id, ""), wire),
        Shot::typed(&config(agent, id, "https://example.com/"), wire),
        Shot::typed(&one, wire),
        Shot::typed(&list, wire),
        Shot::typed(&delete, wire),
    ]
}

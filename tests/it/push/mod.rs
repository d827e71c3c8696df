//! Push notifications, from a call on the wire to a receiver.

mod delivered;
mod endings;
mod failing;
mod hung_up;
mod proof;
mod recorded;
mod refused;
mod restarts;

use std::time::Duration;

use a2ad::config::Config;
use a2ad::pb::{
    AuthenticationInfo, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    SendMessageRequest, Task, TaskPushNotificationConfig,
};

use crate::support::messages::{at_once, configured, send, task};
use crate::support::webhook::Webhook;
use crate::support::wire::{TestClient, Wire};
use crate::support::world::Scenario;

/// The agent whose steps the test allows.
pub const AGENT: &str = "puppet";

/// Webhooks on this machine, and failures that are tried again at once.
pub fn scenario() -> Scenario {
    Scenario::new().set(quick)
}

pub fn quick(config: &mut Config) {
    let push = &mut config.push;
    push.allow_loopback_webhooks = true;
    (push.backoff_min_ms, push.backoff_max_ms) = (1, 20);
    push.poll_ms = 20;
    push.retry_after_s_max = 0;
    push.breaker_failures = 1_000;
}

/// A configuration for a task of the agent.
pub fn hook(task_id: &str, id: &str, url: String) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: AGENT.to_owned(),
        id: id.to_owned(),
        task_id: task_id.to_owned(),
        url,
        ..TaskPushNotificationConfig::default()
    }
}

/// A send of a command to the agent that brings a configuration and does not wait.
pub fn begin(command: &str, config: TaskPushNotificationConfig) -> SendMessageRequest {
    let inline = TaskPushNotificationConfig {
        tenant: String::new(),
        ..config
    };
    at_once(configured(send(AGENT, "m", command), |configuration| {
        configuration.task_push_notification_config = Some(inline);
    }))
}

/// Begins a task with a webhook.
pub async fn begun(client: &TestClient, command: &str, hooked: &Webhook) -> Task {
    let request = begin(command, hook("", "c", hooked.url("/hook?key=1")));
    task(client.call(request).await.unwrap())
}

pub fn one(task_id: &str, id: &str) -> GetTaskPushNotificationConfigRequest {
    GetTaskPushNotificationConfigRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        id: id.to_owned(),
    }
}

pub fn delete(task_id: &str, id: &str) -> DeleteTaskPushNotificationConfigRequest {
    DeleteTaskPushNotificationConfigRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        id: id.to_owned(),
    }
}

pub fn bearer(credentials: &str) -> Option<AuthenticationInfo> {
    Some(AuthenticationInfo {
        scheme: "Bearer".to_owned(),
        credentials: credentials.to_owned(),
    })
}

/// What a task of `steps N` says on its way.
pub fn whole(steps: usize) -> Vec<String> {
    let mut all = vec!["Task:SUBMITTED".to_owned(), "WORKING".to_owned()];
    all.extend((0..steps).map(|step| format!("Artifact:step-{step}")));
    all.push("COMPLETED".to_owned());
    all
}

/// A timeout that a test can wait for.
pub const SHORT: Duration = Duration::from_millis(150);

/// Every test of a file on one binding, with its tasks in a file.
pub fn on_a_file() -> Scenario {
    scenario().sqlite()
}

pub const WIRE: Wire = Wire::Grpc;

//! Callers that cancel, and that name webhooks.

use a2ad::context::CallContext;
use a2ad::error::Kind;
use a2ad::pb::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
    TaskState,
};
use a2ad::repository::conformance::push_config;
use a2ad::task::is_terminal;

use super::client::{Client, Told};
use super::world::Node;
use crate::support::messages::state;

impl Client {
    pub async fn cancel(&mut self) {
        if let Some((scope, id, own)) = self.any_task() {
            self.cancel_task(&scope.agent, &id, own).await;
        }
    }

    /// True if the task was canceled now or before.
    pub async fn cancel_task(&mut self, agent: &str, id: &str, own: bool) -> bool {
        let (scope, known, what) = (self.scope(agent), self.world.seen(id), format!("cancels {id}"));
        let request = CancelTaskRequest {
            tenant: agent.to_owned(),
            id: id.to_owned(),
            ..CancelTaskRequest::default()
        };
        let told = self.call(&what, 1_000, async move |node: Node, call: CallContext| {
            node.service.cancel_task(&call, request).await
        });
        match told.await {
            Told::Answer(Ok(task)) => {
                self.world.count("canceled");
                if state(&task) != TaskState::Canceled {
                    self.world
                        .blame(format_args!("{what}: answered in {:?}", state(&task)));
                }
                self.world.saw_task(&scope, &task, known, &what);
                return true;
            }
            Told::Answer(Err(error)) if error.kind == Kind::TaskNotCancelable && own => {
                let ended = self.world.state(&scope, id);
                let otherwise = is_terminal(ended) && ended != TaskState::Canceled;
                if !otherwise && !error.message.contains("not now") {
                    self.world.blame(format_args!("{what}: {error:?} in {ended:?}"));
                }
                self.world.count("too late to cancel");
            }
            Told::Answer(Err(error)) => self.judge(&what, &error, Some((&scope, id, own))),
            Told::Nothing => {}
        }
        false
    }

    /// Puts, removes or lists this caller's own webhook of a task.
    pub async fn push(&mut self) {
        let Some((scope, id, own)) = self.any_task() else {
            return;
        };
        let (agent, name) = (scope.agent.to_string(), format!("hook-{}", self.name));
        let what = format!("pushes {id}");
        match self.random.below(3) {
            0 => {
                let config = a2ad::pb::TaskPushNotificationConfig {
                    tenant: agent,
                    ..push_config(&id, &name, "https://example.org/hook")
                };
                let told = self.call(&what, 500, async move |node: Node, call: CallContext| {
                    node.service
                        .create_task_push_notification_config(&call, config)
                        .await
                });
                let told = told.await;
                self.pushed(told, &what, (&scope, &id, own), true);
            }
            1 => {
                let request = DeleteTaskPushNotificationConfigRequest {
                    tenant: agent,
                    task_id: id.clone(),
                    id: name,
                };
                let told = self.call(&what, 500, async move |node: Node, call: CallContext| {
                    node.service
                        .delete_task_push_notification_config(&call, request)
                        .await
                });
                let told = told.await;
                self.pushed(told, &what, (&scope, &id, own), false);
            }
            _ => {
                let request = ListTaskPushNotificationConfigsRequest {
                    tenant: agent,
                    task_id: id.clone(),
                    ..ListTaskPushNotificationConfigsRequest::default()
                };
                let told = self.call(&what, 500, async move |node: Node, call: CallContext| {
                    node.service
                        .list_task_push_notification_configs(&call, request)
                        .await
                });
                match told.await {
                    Told::Answer(Ok(listed)) => {
                        let there = listed.configs.iter().any(|config| config.id == name);
                        if self.pushed.get(&id).is_some_and(|expected| *expected != there) {
                            self.world.blame(format_args!("webhook {name} of {id}: {there}"));
                        }
                    }
                    Told::Answer(Err(error)) => self.judge(&what, &error, Some((&scope, &id, own))),
                    Told::Nothing => {}
                }
            }
        }
    }

    fn pushed<T>(
        &mut self,
        told: Told<T>,
        what: &str,
        target: (&a2ad::context::Scope, &str, bool),
        there: bool,
    ) {
        match told {
            Told::Answer(Ok(_)) => {
                self.world.count("webhooks changed");
                self.pushed.insert(target.1.to_owned(), there);
            }
            Told::Answer(Err(error)) => self.judge(what, &error, Some(target)),
            // It may have happened, or may yet.
            Told::Nothing => {
                self.pushed.remove(target.1);
            }
        }
    }
}

//! The A2A operations: what each one means, the same for every binding.
//!
//! [`AgentService`] has one typed method per RPC; the operations themselves are private, one file each, so nobody goes
//! round the guard, and every call has its audit record (`operate`). Bindings decode, call one method, and encode.
//! Nothing in here knows HTTP, JSON or gRPC.

mod cancel_task;
mod card;
mod delegation;
mod get_task;
mod guard;
mod history;
mod idempotency;
mod list_tasks;
mod media;
mod operate;
mod page_token;
pub mod push_admin;
mod push_config;
mod quotas;
mod send_message;
mod settings;
mod skill;
mod streams;
mod subscribe;
mod version;

use std::sync::Arc;

use crate::access::Caller;
use crate::agent::{Agent, Agents};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::{EventStream, Executions};
use crate::pb::inspect::InspectLimits;
use crate::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig,
};
use crate::push::Pushes;
use crate::quota::Quotas;
use crate::repository::TaskRepository;
use crate::shutdown::{Finisher, Shutdown};
use crate::signature::{self, SigningKey};

pub use crate::access::Method;
pub use card::CardDocument;
pub use idempotency::IDEMPOTENCY_EXTENSION;
pub use settings::ServiceSettings;
pub use subscribe::RESUME_EXTENSION;
pub use version::VERSION;

use page_token::PageTokens;
use streams::StreamCounter;

/// All operations of all agents. Cheap to clone.
#[derive(Clone)]
pub struct AgentService(Arc<Inner>);

struct Inner {
    agents: Agents,
    cards: card::Cards,
    executions: Executions,
    repository: Arc<dyn TaskRepository>,
    clock: Clock,
    shutdown: Shutdown,
    changes: Finisher,
    settings: ServiceSettings,
    page_tokens: PageTokens,
    streams: StreamCounter,
    quotas: Quotas,
    pushes: Pushes,
}

impl AgentService {
    /// The operations of these agents. Changes of push configurations go to `pushes` too.
    ///
    /// # Errors
    /// When a card can't be written as JSON or signed, or the machine has no randomness for the page token key.
    pub fn new(
        agents: Agents,
        executions: Executions,
        repository: Arc<dyn TaskRepository>,
        clock: Clock,
        shutdown: Shutdown,
        settings: ServiceSettings,
        pushes: Pushes,
    ) -> Result<Self, Error> {
        let cards = card::Cards::new(&agents, settings.signing_key.clone(), clock.now_ms())?;
        let page_tokens = PageTokens::new(settings.page_token_key)?;
        let streams = StreamCounter::new(settings.streams_per_caller_max);
        let quotas = Quotas::new(settings.quotas.clone());
        let changes = Finisher::new(&shutdown, settings.changes_max);
        Ok(Self(Arc::new(Inner {
            agents,
            cards,
            executions,
            repository,
            clock,
            shutdown,
            changes,
            settings,
            page_tokens,
            streams,
            quotas,
            pushes,
        })))
    }

    /// Whether the version that the caller named is served here; bindings ask before they decode, because a body of
    /// another version would only give a confusing error.
    ///
    /// # Errors
    /// VersionNotSupported, with what to send instead.
    pub fn check_version(&self, call: &CallContext) -> Result<(), Error> {
        version::check(call, self.0.settings.strict_version)
    }

    /// The sizes that a request may not exceed. Bindings look at what was sent before they decode it, because memory is
    /// spent by then.
    pub fn inspect_limits(&self) -> &InspectLimits {
        &self.0.settings.inspect
    }

    /// The extensions that the caller asked for and the addressed agent declares, for the answer's `A2A-Extensions`.
    pub fn activated_extensions(&self, call: &CallContext, tenant: &str) -> Vec<String> {
        self.0.activated_extensions(call, tenant)
    }

    /// The public card of an agent, ready to be sent; `None` names the default agent.
    pub fn card(&self, agent: Option<&str>) -> Option<&CardDocument> {
        self.0.cards.get(agent)
    }

    /// The public keys that what this server signs is verified with, as a JWK set (RFC 7517), each of them once; empty if
    /// it signs nothing.
    pub fn public_keys(&self) -> String {
        let settings = &self.0.settings;
        let signing = settings.signing_key.iter().chain(&settings.push_signing_key);
        let mut keys: Vec<&SigningKey> = Vec::new();
        for key in signing.chain(&settings.published_keys) {
            if keys.iter().all(|known| known.id() != key.id()) {
                keys.push(key);
            }
        }
        signature::jwk_set(keys)
    }

    /// True when not everybody knows of the agent; `None` names the default agent.
    pub fn is_private(&self, agent: Option<&str>) -> bool {
        let agent = self.agent(agent);
        agent.is_some_and(|agent| agent.options.organisations.is_some())
    }

    /// Whether a caller knows of the agent; `None` names the default agent.
    pub fn is_known_to(&self, agent: Option<&str>, caller: &Caller) -> bool {
        let agent = self.agent(agent);
        agent.is_some_and(|agent| agent.options.is_known_to(caller))
    }

    /// The name of an agent; `None` names the default agent.
    pub fn name_of(&self, agent: Option<&str>) -> Arc<str> {
        let agent = self.agent(agent);
        agent.map(|agent| agent.name.clone()).unwrap_or_default()
    }

    fn agent(&self, name: Option<&str>) -> Option<&Arc<Agent>> {
        match name {
            Some(name) => self.0.agents.get(name),
            None => Some(self.0.agents.default_agent()),
        }
    }

    /// The agents that are hosted.
    pub fn agents(&self) -> &Agents {
        &self.0.agents
    }

    /// What callers, agents and organisations may use, and what they have used.
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// What makes changes of push notifications whose callers may hang up.
    pub fn changes(&self) -> &Finisher {
        &self.0.changes
    }

    /// Where calls are recorded; the edge tells it of credentials that it turned away.
    pub fn audit(&self) -> &Audit {
        self.0.executions.audit()
    }

    /// Whether the database answers, for health checks.
    ///
    /// # Errors
    /// UNAVAILABLE.
    pub async fn check(&self) -> Result<(), Error> {
        Ok(self.0.repository.check().await?)
    }

    /// Send Message (specification 3.1.1).
    ///
    /// # Errors
    /// ContentTypeNotSupported, UnsupportedOperation (the task is terminal), TaskNotFound, InvalidParams,
    /// PushNotificationNotSupported, RESOURCE_EXHAUSTED, UNAVAILABLE.
    pub async fn send_message(
        &self,
        call: &CallContext,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, Error> {
        self.operate(
            call,
            Method::SendMessage,
            request,
            |admission, request| async move { self.0.send_message(call, &admission, request).await },
        )
        .await
    }

    /// Send Streaming Message (specification 3.1.2).
    ///
    /// # Errors
    /// As for [`AgentService::send_message`], and UnsupportedOperation without the streaming capability.
    pub async fn send_streaming_message(
        &self,
        call: &CallContext,
        request: SendMessageRequest,
    ) -> Result<EventStream, Error> {
        let method = Method::SendStreamingMessage;
        self.operate(call, method, request, |admission, request| async move {
            let permit = self.0.open_stream(call, &admission)?;
            let stream = self.0.send_streaming_message(call, &admission, request).await?;
            Ok(self.0.limited(call, admission, stream).holding(permit))
        })
        .await
    }

    /// Get Task (specification 3.1.3).
    ///
    /// # Errors
    /// TaskNotFound, InvalidParams.
    pub async fn get_task(&self, call: &CallContext, request: GetTaskRequest) -> Result<Task, Error> {
        self.operate(call, Method::GetTask, request, |admission, request| async move {
            self.0.get_task(&admission, request).await
        })
        .await
    }

    /// List Tasks (specification 3.1.4).
    ///
    /// # Errors
    /// InvalidParams for sizes, states and tokens that are not valid.
    pub async fn list_tasks(
        &self,
        call: &CallContext,
        request: ListTasksRequest,
    ) -> Result<ListTasksResponse, Error> {
        self.operate(
            call,
            Method::ListTasks,
            request,
            |admission, request| async move { self.0.list_tasks(&admission, request).await },
        )
        .await
    }

    /// Cancel Task (specification 3.1.5).
    ///
    /// # Errors
    /// TaskNotFound, TaskNotCancelable.
    pub async fn cancel_task(&self, call: &CallContext, request: CancelTaskRequest) -> Result<Task, Error> {
        self.operate(
            call,
            Method::CancelTask,
            request,
            |admission, request| async move { self.0.cancel_task(call, &admission, request).await },
        )
        .await
    }

    /// Subscribe to Task (specification 3.1.6).
    ///
    /// # Errors
    /// TaskNotFound, UnsupportedOperation when the task is terminal or the agent does not stream.
    pub async fn subscribe_to_task(
        &self,
        call: &CallContext,
        request: SubscribeToTaskRequest,
    ) -> Result<EventStream, Error> {
        self.operate(
            call,
            Method::SubscribeToTask,
            request,
            |admission, request| async move {
                let permit = self.0.open_stream(call, &admission)?;
                let stream = self.0.subscribe_to_task(call, &admission, request).await?;
                Ok(self.0.limited(call, admission, stream).holding(permit))
            },
        )
        .await
    }

    /// Create Push Notification Config (specification 3.1.7).
    ///
    /// # Errors
    /// PushNotificationNotSupported, TaskNotFound, InvalidParams, RESOURCE_EXHAUSTED.
    pub async fn create_task_push_notification_config(
        &self,
        call: &CallContext,
        request: TaskPushNotificationConfig,
    ) -> Result<TaskPushNotificationConfig, Error> {
        let method = Method::CreateTaskPushNotificationConfig;
        self.operate(call, method, request, |admission, request| async move {
            self.0.create_push_config(call, &admission, request).await
        })
        .await
    }

    /// Get Push Notification Config (specification 3.1.8).
    ///
    /// # Errors
    /// PushNotificationNotSupported; TaskNotFound for the task and for the configuration.
    pub async fn get_task_push_notification_config(
        &self,
        call: &CallContext,
        request: GetTaskPushNotificationConfigRequest,
    ) -> Result<TaskPushNotificationConfig, Error> {
        let method = Method::GetTaskPushNotificationConfig;
        self.operate(call, method, request, |admission, request| async move {
            self.0.get_push_config(&admission, request).await
        })
        .await
    }

    /// List Push Notification Configs (specification 3.1.9).
    ///
    /// # Errors
    /// PushNotificationNotSupported, TaskNotFound, InvalidParams.
    pub async fn list_task_push_notification_configs(
        &self,
        call: &CallContext,
        request: ListTaskPushNotificationConfigsRequest,
    ) -> Result<ListTaskPushNotificationConfigsResponse, Error> {
        let method = Method::ListTaskPushNotificationConfigs;
        self.operate(call, method, request, |admission, request| async move {
            self.0.list_push_configs(&admission, request).await
        })
        .await
    }

    /// Delete Push Notification Config (specification 3.1.10); deleting twice is fine.
    ///
    /// # Errors
    /// PushNotificationNotSupported, TaskNotFound.
    pub async fn delete_task_push_notification_config(
        &self,
        call: &CallContext,
        request: DeleteTaskPushNotificationConfigRequest,
    ) -> Result<(), Error> {
        let method = Method::DeleteTaskPushNotificationConfig;
        self.operate(call, method, request, |admission, request| async move {
            self.0.delete_push_config(&admission, request).await
        })
        .await
    }

    /// Get Extended Agent Card (specification 3.1.11).
    ///
    /// # Errors
    /// UnsupportedOperation, ExtendedAgentCardNotConfigured.
    pub async fn get_extended_agent_card(
        &self,
        call: &CallContext,
        request: GetExtendedAgentCardRequest,
    ) -> Result<AgentCard, Error> {
        let method = Method::GetExtendedAgentCard;
        self.operate(call, method, request, |admission, _| async move {
            self.0.extended_card(call, &admission)
        })
        .await
    }
}

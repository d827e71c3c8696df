//! The operations of one agent, as its users call them.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use tower::ServiceExt as _;

use super::builder::ClientBuilder;
use super::call::{Answer, Call, Reply, Request};
use super::card::{ResolvedCard, SignatureStatus, Verification};
use super::connections::Connections;
use super::events::EventStream;
use super::settings::ClientSettings;
use super::target::Target;
use super::transport::{Transport, transport};
use super::{Address, AddressError, Credential, Error, Instance};
use crate::access::Method;
use crate::agent::Onward;
use crate::context::Binding;
use crate::egress::EgressPolicy;
use crate::pb::{
    AgentCard, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig,
};
use crate::service::VERSION;
use crate::tls::ClientTls;

/// The service parameter that declares extensions.
const EXTENSIONS: HeaderName = HeaderName::from_static("a2a-extensions");

/// One agent. Clones share its connections. A request that names no tenant gets that of the agent's interface.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    target: Arc<Target>,
    /// What is known of the agent, if it was found by its card.
    known: Option<Arc<KnownAgent>>,
    /// Service parameters of every call.
    parameters: HeaderMap,
}

/// What a client knows of its agent.
struct KnownAgent {
    /// Replaced by the extended card, once it has been fetched.
    card: ArcSwap<AgentCard>,
    resolved: ResolvedCard,
    verification: Option<Verification>,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client")
            .field("binding", &self.target.binding)
            .field("url", &self.target.url)
            .finish()
    }
}

impl Client {
    /// An agent whose calls go by `transport`.
    pub fn new(target: Target, transport: Transport) -> Self {
        Self {
            transport,
            target: Arc::new(target),
            known: None,
            parameters: HeaderMap::new(),
        }
    }

    /// What makes clients of agents by their cards.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// An agent with a card, by one of its interfaces.
    pub(super) fn of_instance(
        instance: Instance,
        resolved: ResolvedCard,
        verification: Option<Verification>,
    ) -> Self {
        let known = KnownAgent {
            card: ArcSwap::new(resolved.card.clone()),
            resolved,
            verification,
        };
        Self {
            transport: instance.transport,
            target: instance.target,
            known: Some(Arc::new(known)),
            parameters: HeaderMap::new(),
        }
    }

    /// The same, with these service parameters in every call.
    pub(super) fn with_parameters(mut self, parameters: &HeaderMap) -> Self {
        self.parameters.extend(parameters.clone());
        self
    }

    /// The same, declaring these extensions with every call.
    pub(super) fn declaring(mut self, extensions: &[String]) -> Result<Self, Error> {
        if let Some(value) = declared(extensions)? {
            self.parameters.insert(EXTENSIONS, value);
        }
        Ok(self)
    }

    /// The server at `address`, by gRPC, without asking for a card. It is connected to with the first call, and shown a
    /// token or key with every one. An `https` address needs `tls`.
    ///
    /// # Errors
    /// When the address or the certificates can't be used; [`Error::Credential`] when the credential would go to another
    /// machine in the clear.
    pub async fn grpc(
        address: &Address,
        tls: Option<&ClientTls>,
        credential: Option<&Credential>,
    ) -> Result<Self, Error> {
        let credential = credential.map(|one| one.header(address)).transpose()?;
        let settings = ClientSettings::default();
        let connections = Connections::open(&settings, tls, EgressPolicy::unrestricted()).await?;
        let url = address.url();
        let target = Target {
            binding: Binding::Grpc,
            url: url.parse().map_err(|_| AddressError::of(&url))?,
            tenant: String::new(),
            version: VERSION.to_owned(),
            card: None,
        };
        let transport = transport(&target, &connections, &settings);
        let introduced = transport.map_request(move |mut call: Call| {
            call.parameters.extend(credential.clone());
            call
        });
        Ok(Self::new(target, Transport::new(introduced)))
    }

    /// The interface that is used.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The agent's card, if it was found by it: the extended one once that has been fetched.
    pub fn card(&self) -> Option<Arc<AgentCard>> {
        Some(self.known.as_ref()?.card.load_full())
    }

    /// The card that the agent was found by, and where it came from.
    pub fn resolved(&self) -> Option<&ResolvedCard> {
        Some(&self.known.as_ref()?.resolved)
    }

    /// Makes any call. A parameter of the call counts more than one of the client.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotSupported`] when the agent's card says that the agent can't do this.
    pub async fn call(&self, mut call: Call) -> Result<Reply, Error> {
        if let Some(card) = self.card() {
            capable(&card, call.method())?;
        }
        for (name, value) in &self.parameters {
            call.parameters.entry(name).or_insert_with(|| value.clone());
        }
        let tenant = call.request.tenant_mut();
        if tenant.is_empty() {
            tenant.clone_from(&self.target.tenant);
        }
        self.transport.clone().oneshot(call).await
    }

    async fn answer(&self, request: Request) -> Result<Answer, Error> {
        Ok(self.call(Call::new(request)).await?.answer)
    }

    /// Sends a message and waits as the request says.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(&self, request: SendMessageRequest) -> Result<SendMessageResponse, Error> {
        self.answer(Request::SendMessage(request)).await?.sent()
    }

    /// Sends a message and streams what happens.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send_streaming(&self, request: SendMessageRequest) -> Result<EventStream, Error> {
        self.answer(Request::SendStreamingMessage(request))
            .await?
            .events()
    }

    /// Sends a message that an agent hands on, and waits as the request says. Each call takes an [`Onward`] of its own.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send_onward(
        &self,
        request: SendMessageRequest,
        onward: Onward,
    ) -> Result<SendMessageResponse, Error> {
        let call = handed_on(Request::SendMessage(request), onward);
        self.call(call).await?.answer.sent()
    }

    /// Sends a message that an agent hands on, and streams what happens.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send_streaming_onward(
        &self,
        request: SendMessageRequest,
        onward: Onward,
    ) -> Result<EventStream, Error> {
        let call = handed_on(Request::SendStreamingMessage(request), onward);
        self.call(call).await?.answer.events()
    }

    /// One task.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task(&self, request: GetTaskRequest) -> Result<Task, Error> {
        self.answer(Request::GetTask(request)).await?.task()
    }

    /// One page of tasks.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks(&self, request: ListTasksRequest) -> Result<ListTasksResponse, Error> {
        self.answer(Request::ListTasks(request)).await?.tasks()
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, request: CancelTaskRequest) -> Result<Task, Error> {
        self.answer(Request::CancelTask(request)).await?.task()
    }

    /// Streams a task: from the task as it is, or behind the generation that was seen last.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscribe(
        &self,
        request: SubscribeToTaskRequest,
        last_generation: Option<u64>,
    ) -> Result<EventStream, Error> {
        self.answer(Request::SubscribeToTask(request, last_generation))
            .await?
            .events()
    }

    /// Creates a push configuration.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_push_config(
        &self,
        config: TaskPushNotificationConfig,
    ) -> Result<TaskPushNotificationConfig, Error> {
        self.answer(Request::CreateTaskPushNotificationConfig(config))
            .await?
            .push_config()
    }

    /// One push configuration.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn push_config(
        &self,
        request: GetTaskPushNotificationConfigRequest,
    ) -> Result<TaskPushNotificationConfig, Error> {
        self.answer(Request::GetTaskPushNotificationConfig(request))
            .await?
            .push_config()
    }

    /// One page of a task's push configurations.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn push_configs(
        &self,
        request: ListTaskPushNotificationConfigsRequest,
    ) -> Result<ListTaskPushNotificationConfigsResponse, Error> {
        self.answer(Request::ListTaskPushNotificationConfigs(request))
            .await?
            .push_configs()
    }

    /// Deletes a push configuration.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_push_config(
        &self,
        request: DeleteTaskPushNotificationConfigRequest,
    ) -> Result<(), Error> {
        self.answer(Request::DeleteTaskPushNotificationConfig(request))
            .await
            .map(drop)
    }

    /// The extended card, which an agent shows to those whom it knows. It takes the place of the public one; the interface
    /// remains that of the public card, to which the credentials belong.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Card`] when a good signature is required and this card has none.
    pub async fn extended_card(&self) -> Result<AgentCard, Error> {
        let request = GetExtendedAgentCardRequest::default();
        let card = self
            .answer(Request::GetExtendedAgentCard(request))
            .await?
            .card()?;
        if let Some(known) = &self.known {
            SignatureStatus::of(&card, known.verification.as_ref())?;
            known.card.store(Arc::new(card.clone()));
        }
        Ok(card)
    }
}

/// Whether an agent can do this, as far as its card says (specification 3.3.4).
fn capable(card: &AgentCard, method: Method) -> Result<(), Error> {
    let capabilities = card.capabilities.as_ref();
    let (has, what) = match method {
        Method::SendStreamingMessage | Method::SubscribeToTask => {
            (capabilities.and_then(|one| one.streaming), "streaming")
        }
        Method::CreateTaskPushNotificationConfig
        | Method::GetTaskPushNotificationConfig
        | Method::ListTaskPushNotificationConfigs
        | Method::DeleteTaskPushNotificationConfig => (
            capabilities.and_then(|one| one.push_notifications),
            "pushNotifications",
        ),
        Method::GetExtendedAgentCard => (
            capabilities.and_then(|one| one.extended_agent_card),
            "extendedAgentCard",
        ),
        _ => return Ok(()),
    };
    if has == Some(true) {
        return Ok(());
    }
    Err(Error::NotSupported(format!(
        "the agent's card does not declare the capability {what}, which {} needs",
        method.as_str()
    )))
}

/// A call with its place in the chain and the trace.
fn handed_on(request: Request, onward: Onward) -> Call {
    let mut call = Call::new(request);
    for (name, value) in onward.into_headers() {
        // A trace state of a stranger may hold what is no header; the call goes without it.
        if let Ok(value) = value.parse() {
            call.parameters.insert(name, value);
        }
    }
    call
}

/// The value of `A2A-Extensions`.
fn declared(extensions: &[String]) -> Result<Option<HeaderValue>, Error> {
    if extensions.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::try_from(extensions.join(","));
    value.map(Some).map_err(|_| {
        Error::NotSupported("the name of an extension can't stand in a header; it is a URI".to_owned())
    })
}

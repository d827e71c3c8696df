//! A small client over gRPC, for the command line and for tests, and a [`receiver`] of webhooks.
//!
//! It names the version, and an idempotency key with every send, so that a send can be repeated safely.

mod card;
mod credential;
mod endpoint;
mod push_admin;
pub mod receiver;

use std::time::Duration;

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::agent::Onward;
use crate::pb::client::A2aServiceClient;
use crate::pb::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse, SendMessageRequest,
    SendMessageResponse, StreamResponse, SubscribeToTaskRequest, Task,
};
use crate::service::VERSION;
use crate::task::new_id;
use crate::tls::ClientTls;

pub use card::fetch_card;
pub use credential::Credential;
pub use endpoint::{Address, AddressError};
pub use push_admin::PushAdminClient;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The certificate files can't be used.
    #[error(transparent)]
    Tls(#[from] crate::tls::Error),
    /// The server can't be reached.
    #[error("can't reach {address}: {cause}")]
    Connect {
        /// Where it should be.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// The server answered with an error.
    #[error("{}: {}", code_name(.0.code()), .0.message())]
    Status(#[from] Box<Status>),
    /// The token or key can't be sent.
    #[error("the credential is not sent: {0}")]
    Credential(&'static str),
    /// The card is not one.
    #[error("the agent card can't be read: {0}")]
    Card(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The name of a gRPC code as the field writes it.
fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for (index, letter) in format!("{code:?}").chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Adds the version to every call, and who calls.
#[derive(Clone, Debug)]
struct Introduce {
    credential: Option<(&'static str, AsciiMetadataValue)>,
}

impl Interceptor for Introduce {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("a2a-version", AsciiMetadataValue::from_static(VERSION));
        if let Some((name, value)) = &self.credential {
            metadata.insert(*name, value.clone());
        }
        Ok(request)
    }
}

/// A connection that introduces its user with every call.
type Introduced = InterceptedService<Channel, Introduce>;

async fn connected(
    address: &Address,
    tls: Option<&ClientTls>,
    credential: Option<&Credential>,
) -> Result<Introduced, Error> {
    let credential = credential.map(|one| one.metadata(address)).transpose()?;
    let cause = |error: &dyn std::error::Error| Error::Connect {
        address: address.to_string(),
        cause: innermost(error),
    };
    let mut endpoint = tonic::transport::Endpoint::from_shared(address.url())
        .map_err(|error| cause(&error))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    if let Some(tls) = tls {
        endpoint = endpoint
            .tls_config(tls.tonic().await?)
            .map_err(|error| cause(&error))?;
    }
    let channel = endpoint.connect().await.map_err(|error| cause(&error))?;
    Ok(InterceptedService::new(channel, Introduce { credential }))
}

/// A connection to one server, by gRPC.
#[derive(Clone, Debug)]
pub struct Client {
    inner: A2aServiceClient<Introduced>,
}

impl Client {
    /// Connects. An `https` address needs `tls`.
    ///
    /// # Errors
    /// When the address, the certificates or the server are not there.
    pub async fn connect(address: &Address, tls: Option<&ClientTls>) -> Result<Self, Error> {
        Self::connect_as(address, tls, None).await
    }

    /// Connects, and shows a token or key with every call.
    ///
    /// # Errors
    /// As for [`Client::connect`]; [`Error::Credential`] when it would go to another machine in the clear.
    pub async fn connect_as(
        address: &Address,
        tls: Option<&ClientTls>,
        credential: Option<&Credential>,
    ) -> Result<Self, Error> {
        let channel = connected(address, tls, credential).await?;
        Ok(Self {
            inner: A2aServiceClient::new(channel),
        })
    }

    /// Sends a message and waits as the request says.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn send(&mut self, message: SendMessageRequest) -> Result<SendMessageResponse, Error> {
        Ok(self.inner.send_message(keyed(message)).await?.into_inner())
    }

    /// Sends a message and streams what happens.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn send_streaming(
        &mut self,
        message: SendMessageRequest,
    ) -> Result<Streaming<StreamResponse>, Error> {
        Ok(self
            .inner
            .send_streaming_message(keyed(message))
            .await?
            .into_inner())
    }

    /// Sends a message that an agent hands on, and waits as the request says. Each call takes an [`Onward`] of its own.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn send_onward(
        &mut self,
        message: SendMessageRequest,
        onward: Onward,
    ) -> Result<SendMessageResponse, Error> {
        let request = handed_on(keyed(message), onward);
        Ok(self.inner.send_message(request).await?.into_inner())
    }

    /// Sends a message that an agent hands on, and streams what happens.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn send_streaming_onward(
        &mut self,
        message: SendMessageRequest,
        onward: Onward,
    ) -> Result<Streaming<StreamResponse>, Error> {
        let request = handed_on(keyed(message), onward);
        Ok(self.inner.send_streaming_message(request).await?.into_inner())
    }

    /// One task.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn task(&mut self, request: GetTaskRequest) -> Result<Task, Error> {
        Ok(self.inner.get_task(request).await?.into_inner())
    }

    /// One page of tasks.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn tasks(&mut self, request: ListTasksRequest) -> Result<ListTasksResponse, Error> {
        Ok(self.inner.list_tasks(request).await?.into_inner())
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn cancel(&mut self, request: CancelTaskRequest) -> Result<Task, Error> {
        Ok(self.inner.cancel_task(request).await?.into_inner())
    }

    /// Streams a task: from the task as it is, or behind the generation that was seen last.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn subscribe(
        &mut self,
        request: SubscribeToTaskRequest,
        last_generation: Option<u64>,
    ) -> Result<Streaming<StreamResponse>, Error> {
        let mut request = Request::new(request);
        if let Some(generation) = last_generation {
            request
                .metadata_mut()
                .insert("a2ad-last-generation", generation.into());
        }
        Ok(self.inner.subscribe_to_task(request).await?.into_inner())
    }
}

/// A send with a key of its own: whatever repeats it on the way, the agent runs once.
fn keyed(message: SendMessageRequest) -> Request<SendMessageRequest> {
    let mut request = Request::new(message);
    if let Ok(key) = AsciiMetadataValue::try_from(new_id()) {
        request
            .metadata_mut()
            .insert(AsciiMetadataKey::from_static("idempotency-key"), key);
    }
    request
}

/// A call with its place in the chain and the trace.
fn handed_on<T>(mut request: Request<T>, onward: Onward) -> Request<T> {
    for (name, value) in onward.into_headers() {
        // A trace state of a stranger may hold what is no header; the call goes without it.
        if let Ok(value) = AsciiMetadataValue::try_from(value) {
            request
                .metadata_mut()
                .insert(AsciiMetadataKey::from_static(name), value);
        }
    }
    request
}

/// The cause behind the causes: tonic's own text is only "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

//! The gRPC binding (specification section 10).

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::HeaderValue;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Response, Status, Streaming};
use tower::Service;

use super::grpc_channel::{GrpcChannel, Received};
use super::status;
use crate::client::connections::Connections;
use crate::client::events::{Event, EventStream};
use crate::client::settings::ClientSettings;
use crate::client::upload::{Limits, SwappedBody, framed};
use crate::client::{Answer, Call, Error, Reply, Request, Target};
use crate::pb::StreamResponse;
use crate::pb::client::A2aServiceClient;

/// The generation of the first event of a stream; the following ones are one higher each.
const FIRST_GENERATION: &str = "a2ad-first-generation";
/// The generation behind which a stream is to begin.
const LAST_GENERATION: &str = "a2ad-last-generation";

/// How much longer than this client an agent is told to work at most: who says that it took too long is the client,
/// and the agent only when it doesn't hear that the client has gone.
const GRACE: Duration = Duration::from_secs(1);

/// More than this can't be told, and is more than anybody waits.
const TOLD_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Calls by gRPC to one agent.
#[derive(Clone)]
pub(super) struct Grpc {
    client: A2aServiceClient<GrpcChannel>,
    target: Arc<Target>,
    timeout: Duration,
    upload_idle_timeout: Duration,
    answer_bytes_max: usize,
    event_bytes_max: usize,
}

impl Grpc {
    pub(super) fn new(target: &Target, connections: &Connections, settings: &ClientSettings) -> Self {
        let channel = GrpcChannel(connections.http2.clone());
        let client =
            A2aServiceClient::with_origin(channel, target.url.clone()).max_encoding_message_size(usize::MAX);
        Self {
            client,
            target: Arc::new(target.clone()),
            timeout: settings.timeout,
            upload_idle_timeout: settings.upload_idle_timeout,
            answer_bytes_max: settings.answer_bytes_max,
            event_bytes_max: settings.event_bytes_max,
        }
    }

    async fn make(self, call: Call) -> Result<Reply, Error> {
        let Self { target, timeout, .. } = self.clone();
        let limit = match call.method().is_streaming() {
            true => ("an event", self.event_bytes_max),
            false => ("the answer", self.answer_bytes_max),
        };
        if !call.uploads.is_empty() {
            return self.upload(call, limit).await;
        }
        let received = Received::default();
        let sending = self.send(call, Extensions::default(), limit.1, received.clone());
        let answered = tokio::time::timeout(timeout, sending).await;
        let answered = answered.map_err(|_| Error::Timeout(timeout))?;
        answered.map_err(|status| status::error(&target.origin(), &status, received.is_failure(), limit))
    }

    /// A call whose message is read while it is sent.
    async fn upload(self, call: Call, limit: (&'static str, usize)) -> Result<Reply, Error> {
        let origin = self.target.origin();
        let limits = Limits {
            idle: self.upload_idle_timeout,
            answer: self.timeout,
        };
        let (body, mut sending) = framed(&call.request, &call.uploads)?.body(call.uploads.pace(), limits);
        let mut extensions = Extensions::default();
        SwappedBody::put(body, &mut extensions);
        extensions.insert(sending.hang_up());
        let exchange = async {
            let received = Received::default();
            let answered = self.send(call, extensions, limit.1, received.clone()).await;
            answered.map_err(|status| status::error(&origin, &status, received.is_failure(), limit))
        };
        let reply = sending.answered(exchange).await?;
        Ok(sending.keep(reply))
    }

    async fn send(
        mut self,
        call: Call,
        mut extensions: Extensions,
        bytes_max: usize,
        received: Received,
    ) -> Result<Reply, Status> {
        self.client = self.client.max_decoding_message_size(bytes_max);
        let Call {
            request,
            mut parameters,
            uploads,
            ..
        } = call;
        if let Ok(version) = HeaderValue::from_str(&self.target.version) {
            parameters.insert("a2a-version", version);
        }
        if let Request::SubscribeToTask(_, Some(generation)) = &request {
            parameters.insert(LAST_GENERATION, (*generation).into());
        }
        let metadata = MetadataMap::from_headers(parameters);
        extensions.insert(received.clone());
        macro_rules! unary {
            ($method:ident, $request:expr, $answer:expr) => {{
                let mut request = tonic::Request::from_parts(metadata, extensions, $request);
                // The agent's clock would run while it is sent.
                if uploads.is_empty() {
                    request.set_timeout(told(self.timeout));
                }
                let (metadata, answer, _) = self.client.$method(request).await?.into_parts();
                Ok(Reply {
                    answer: $answer(answer),
                    parameters: metadata.into_headers(),
                })
            }};
        }
        macro_rules! streaming {
            ($method:ident, $request:expr) => {{
                let request = tonic::Request::from_parts(metadata, extensions, $request);
                Ok(self.events(self.client.clone().$method(request).await?, received))
            }};
        }
        match request {
            Request::SendMessage(request) => unary!(send_message, request, Answer::Sent),
            Request::SendStreamingMessage(request) => streaming!(send_streaming_message, request),
            Request::GetTask(request) => unary!(get_task, request, Answer::Task),
            Request::ListTasks(request) => unary!(list_tasks, request, Answer::Tasks),
            Request::CancelTask(request) => unary!(cancel_task, request, Answer::Task),
            Request::SubscribeToTask(request, _) => streaming!(subscribe_to_task, request),
            Request::CreateTaskPushNotificationConfig(request) => {
                unary!(create_task_push_notification_config, request, Answer::PushConfig)
            }
            Request::GetTaskPushNotificationConfig(request) => {
                unary!(get_task_push_notification_config, request, Answer::PushConfig)
            }
            Request::ListTaskPushNotificationConfigs(request) => {
                unary!(list_task_push_notification_configs, request, Answer::PushConfigs)
            }
            Request::DeleteTaskPushNotificationConfig(request) => {
                unary!(delete_task_push_notification_config, request, |()| {
                    Answer::Deleted
                })
            }
            Request::GetExtendedAgentCard(request) => {
                unary!(get_extended_agent_card, request, Answer::Card)
            }
        }
    }

    fn events(&self, response: Response<Streaming<StreamResponse>>, received: Received) -> Reply {
        let (metadata, stream, _) = response.into_parts();
        let parameters = metadata.into_headers();
        // An agent that sends this header numbers its events: the name is ours.
        let first: Option<u64> = parameters
            .get(FIRST_GENERATION)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let target = self.target.clone();
        let limit = ("an event", self.event_bytes_max);
        let events = stream.enumerate().filter_map(move |(index, event)| {
            let event = match event {
                // What came into the protocol after this client is not for it.
                Ok(response) if response.payload.is_none() => None,
                Ok(response) => Some(Ok(Event {
                    response,
                    generation: first.map(|first| first.saturating_add(index as u64)),
                })),
                Err(status) => {
                    let is_received = received.is_failure();
                    Some(Err(status::error(&target.origin(), &status, is_received, limit)))
                }
            };
            ready(event)
        });
        Reply {
            answer: Answer::Events(EventStream::new(events)),
            parameters,
        }
    }
}

impl Service<Call> for Grpc {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.clone().make(call))
    }
}

/// The time that an agent is told to have.
fn told(timeout: Duration) -> Duration {
    timeout.saturating_add(GRACE).min(TOLD_MAX)
}

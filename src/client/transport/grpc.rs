//! The gRPC binding (specification section 10).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use http::HeaderValue;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Response, Status, Streaming};
use tower::Service;

use super::status;
use crate::client::connections::Connections;
use crate::client::events::{Event, EventStream};
use crate::client::settings::ClientSettings;
use crate::client::{Answer, Call, Error, Reply, Request, Target};
use crate::egress::EgressChannel;
use crate::pb::StreamResponse;
use crate::pb::client::A2aServiceClient;

/// The generation of the first event of a stream; the following ones are one higher each.
const FIRST_GENERATION: &str = "a2ad-first-generation";
/// The generation behind which a stream is to begin.
const LAST_GENERATION: &str = "a2ad-last-generation";

/// Calls by gRPC to one agent.
#[derive(Clone)]
pub(super) struct Grpc {
    client: A2aServiceClient<EgressChannel<tonic::body::Body>>,
    target: Arc<Target>,
}

impl Grpc {
    pub(super) fn new(target: &Target, connections: &Connections, settings: &ClientSettings) -> Self {
        let channel = connections.http2.clone();
        let client = A2aServiceClient::with_origin(channel, target.url.clone())
            .max_decoding_message_size(settings.answer_bytes_max)
            .max_encoding_message_size(usize::MAX);
        Self {
            client,
            target: Arc::new(target.clone()),
        }
    }

    async fn make(mut self, call: Call) -> Result<Reply, Error> {
        let target = self.target.clone();
        self.send(call)
            .await
            .map_err(|status| status::error(&target.origin(), &status))
    }

    async fn send(&mut self, call: Call) -> Result<Reply, Status> {
        let Call {
            request,
            mut parameters,
            ..
        } = call;
        if let Ok(version) = HeaderValue::from_str(&self.target.version) {
            parameters.insert("a2a-version", version);
        }
        if let Request::SubscribeToTask(_, Some(generation)) = &request {
            parameters.insert(LAST_GENERATION, (*generation).into());
        }
        let metadata = MetadataMap::from_headers(parameters);
        macro_rules! unary {
            ($method:ident, $request:expr, $answer:expr) => {{
                let request = tonic::Request::from_parts(metadata, Extensions::default(), $request);
                let (metadata, answer, _) = self.client.$method(request).await?.into_parts();
                Ok(Reply {
                    answer: $answer(answer),
                    parameters: metadata.into_headers(),
                })
            }};
        }
        macro_rules! streaming {
            ($method:ident, $request:expr) => {{
                let request = tonic::Request::from_parts(metadata, Extensions::default(), $request);
                Ok(self.events(self.client.clone().$method(request).await?))
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

    fn events(&self, response: Response<Streaming<StreamResponse>>) -> Reply {
        let (metadata, stream, _) = response.into_parts();
        let parameters = metadata.into_headers();
        let first: Option<u64> = parameters
            .get(FIRST_GENERATION)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let target = self.target.clone();
        let events = stream.enumerate().map(move |(index, event)| match event {
            Ok(response) => Ok(Event {
                response,
                generation: first.map(|first| first.saturating_add(index as u64)),
            }),
            Err(status) => Err(status::error(&target.origin(), &status)),
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

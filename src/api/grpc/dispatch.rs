//! From a gRPC path to an operation.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::request::Parts;
use http::{Request, Response};
use prost::Message;
use tonic::codec::{CompressionEncoding, SingleMessageCompressionOverride};
use tonic::server::Grpc;
use tonic::{Code, Status};
use tower::Service;

use super::codec::{EncodedCodec, ProtoCodec};
use super::{ADMIN_SERVICE, SERVICE, admin, status, timeout};
use crate::access::AdminMethod;
use crate::api::call::{self, Origin};
use crate::api::{Api, ApiSettings, Body};
use crate::context::{Binding, CallContext};
use crate::error::{Error, Kind};
use crate::execution::EventStream;
use crate::pb::{self, inspect::Shaped};
use crate::service::{AgentService, Method};

/// Answers below this size are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;

pub(super) type Answer<T> = Result<tonic::Response<T>, Status>;

/// Serves one gRPC request.
pub(in crate::api) async fn handle<B>(api: &Api, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send + 'static,
{
    let path = request.uri().path();
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return beside(api, request).await;
    };
    match (service, api.push_admin()) {
        (SERVICE, _) => {}
        (ADMIN_SERVICE, Some(admin)) => {
            return match AdminMethod::from_name(method) {
                Some(method) => admin::handle(api, admin, method, request).await,
                None => no_such_method(&request),
            };
        }
        _ => return beside(api, request).await,
    }
    let Some(method) = Method::from_name(method) else {
        return no_such_method(&request);
    };
    let (head, body) = request.into_parts();
    let request_id = call::request_id(&head.headers);
    let (context, limit) = match admit(api, &head, &request_id).await {
        Ok(admitted) => admitted,
        Err(error) => return status::refuse(&error, &request_id),
    };
    let request = Request::from_parts(head, body);
    let call = Call {
        api: api.clone(),
        service: api.service().clone(),
        context: Arc::new(context),
        limit,
    };
    let context = call.context.clone();
    tracing::debug!(
        request.id = %context.request_id,
        rpc.method = method.as_str(),
        principal = %context.caller.principal,
        "serving a gRPC call"
    );
    let response = call.serve(method, api.settings(), request).await;
    let mut response = reworded(response, api.settings(), &context.request_id);
    call::identify(response.headers_mut(), &context);
    response
}

fn no_such_method<B>(request: &Request<B>) -> Response<Body> {
    let known = "the service has no such method; ask gRPC reflection for its methods";
    status::refuse(
        &Error::new(Kind::MethodNotFound, known),
        &call::request_id(request.headers()),
    )
}

/// Health, reflection, and what does not exist.
async fn beside<B>(api: &Api, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send + 'static,
{
    let mut services = api.beside();
    match services.call(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn admit(
    api: &Api,
    head: &Parts,
    request_id: &Arc<str>,
) -> Result<(CallContext, Option<Duration>), Error> {
    let (context, limit) = known(api, head, request_id).await?;
    api.service().check_version(&context)?;
    Ok((context, limit))
}

/// Who calls, from where, and how long it waits.
pub(super) async fn known(
    api: &Api,
    head: &Parts,
    request_id: &Arc<str>,
) -> Result<(CallContext, Option<Duration>), Error> {
    let settings = api.settings();
    let origin = Origin {
        binding: Binding::Grpc,
        headers: &head.headers,
        peer: head.extensions.get(),
        traffic: head.extensions.get(),
        path_agent: None,
        query_version: None,
        id_bytes_max: settings.id_bytes_max,
        request_id: request_id.clone(),
    };
    let caller = api.caller(&origin).await?;
    let limit = timeout::of(&head.headers, settings.request_timeout_max)?;
    Ok((origin.context(caller)?, limit))
}

/// What tonic says by itself about a request that it could not read, in the protocol's words: too large is
/// RESOURCE_EXHAUSTED, a damaged frame is the caller's fault. Our own errors have details, tonic's have none.
pub(super) fn reworded(response: Response<Body>, settings: &ApiSettings, request_id: &str) -> Response<Body> {
    let headers = response.headers();
    let code = headers
        .get(Status::GRPC_STATUS)
        .map(|code| Code::from_bytes(code.as_bytes()));
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let error = match code {
        Some(Code::OutOfRange | Code::ResourceExhausted) => {
            let limit = settings.body_bytes_max;
            Error::too_large(format!(
                "the message is larger than {limit} bytes (body_bytes_max)"
            ))
            .with("bytesMax", limit.to_string())
        }
        Some(Code::Internal) => Error::new(
            Kind::ParseError,
            "the request is not exactly one well-formed gRPC message",
        ),
        _ => return response,
    };
    status::refuse(&error, request_id)
}

/// A call that is being served.
type Serving<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

/// One call on its way into the core.
#[derive(Clone)]
struct Call {
    api: Api,
    service: AgentService,
    context: Arc<CallContext>,
    limit: Option<Duration>,
}

/// Makes a tonic service of a closure; tonic asks for one per request.
pub(super) struct Once<F>(pub(super) F);

impl<F, R, Fut, T> Service<tonic::Request<R>> for Once<F>
where
    F: FnMut(R) -> Fut,
    Fut: Future<Output = Answer<T>>,
{
    type Response = tonic::Response<T>;
    type Error = Status;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<R>) -> Fut {
        (self.0)(request.into_inner())
    }
}

impl Call {
    /// Boxed here, so that the futures of eleven methods don't add up to a heavy one.
    fn serve<B>(self, method: Method, settings: &ApiSettings, request: Request<B>) -> Serving<'_>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tonic::codegen::StdError> + Send + 'static,
    {
        /// One line per method: the tenant goes into the answer's metadata, the rest into the core.
        macro_rules! operation {
            ($kind:ident, $operation:ident, $request:ident) => {
                Box::pin(
                    self.$kind(settings, request, |call, request: pb::$request| {
                        Box::pin(async move {
                            let tenant = extensions_tenant(&call, || request.tenant.clone());
                            let answer = call.service.$operation(&call.context, request).await;
                            call.answer(answer, &tenant)
                        })
                    }),
                )
            };
        }
        match method {
            Method::SendMessage => operation!(unary, send_message, SendMessageRequest),
            Method::SendStreamingMessage => operation!(streaming, send_streaming_message, SendMessageRequest),
            Method::GetTask => operation!(unary, get_task, GetTaskRequest),
            Method::ListTasks => operation!(unary, list_tasks, ListTasksRequest),
            Method::CancelTask => operation!(unary, cancel_task, CancelTaskRequest),
            Method::SubscribeToTask => operation!(streaming, subscribe_to_task, SubscribeToTaskRequest),
            Method::CreateTaskPushNotificationConfig => operation!(
                unary,
                create_task_push_notification_config,
                TaskPushNotificationConfig
            ),
            Method::GetTaskPushNotificationConfig => operation!(
                unary,
                get_task_push_notification_config,
                GetTaskPushNotificationConfigRequest
            ),
            Method::ListTaskPushNotificationConfigs => operation!(
                unary,
                list_task_push_notification_configs,
                ListTaskPushNotificationConfigsRequest
            ),
            Method::DeleteTaskPushNotificationConfig => operation!(
                unary,
                delete_task_push_notification_config,
                DeleteTaskPushNotificationConfigRequest
            ),
            Method::GetExtendedAgentCard => {
                operation!(unary, get_extended_agent_card, GetExtendedAgentCardRequest)
            }
        }
    }

    async fn unary<B, D, E, F, Fut>(
        self,
        settings: &ApiSettings,
        request: Request<B>,
        operation: F,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tonic::codegen::StdError> + Send + 'static,
        D: Message + Default + Shaped + 'static,
        E: Message + 'static,
        F: Fn(Self, D) -> Fut,
        Fut: Future<Output = Answer<E>>,
    {
        let limit = self.limit;
        let once = Once(|message: D| {
            let answer = operation(self.clone(), message);
            async move {
                let mut answer = within(limit, answer).await?;
                if answer.get_ref().encoded_len() < COMPRESS_FROM_BYTES {
                    answer
                        .extensions_mut()
                        .insert(SingleMessageCompressionOverride::Disable);
                }
                Ok(answer)
            }
        });
        let mut grpc = Grpc::new(ProtoCodec::<E, D>::new(self.service.inspect_limits().clone()))
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(settings.body_bytes_max);
        grpc.unary(once, request).await
    }

    async fn streaming<B, D, F, Fut>(
        self,
        settings: &ApiSettings,
        request: Request<B>,
        operation: F,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tonic::codegen::StdError> + Send + 'static,
        D: Message + Default + Shaped + 'static,
        F: Fn(Self, D) -> Fut,
        Fut: Future<Output = Answer<EventStream>>,
    {
        let limit = self.limit;
        let once = Once(|message: D| {
            let answer = operation(self.clone(), message);
            let (api, context) = (self.api.clone(), self.context.clone());
            // The deadline bounds how long a stream takes to begin; the client itself ends one that lasts too long.
            async move {
                let answer = within(limit, answer).await?;
                let guarded = answer.map(|events| api.guarded(events, &context.caller));
                Ok(encoded(guarded, context.request_id.clone()))
            }
        });
        let mut grpc = Grpc::new(EncodedCodec::<D>::new(self.service.inspect_limits().clone()))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(settings.body_bytes_max);
        grpc.server_streaming(once, request).await
    }

    /// The answer with the metadata that goes before it.
    fn answer<T>(&self, answer: Result<T, Error>, tenant: &str) -> Answer<T> {
        let answer = answer.map_err(|error| status::of(&error, &self.context.request_id))?;
        let mut response = tonic::Response::new(answer);
        if !self.context.extensions.is_empty() {
            let activated = self.service.activated_extensions(&self.context, tenant).join(",");
            if let Ok(value) = activated.parse()
                && !activated.is_empty()
            {
                response.metadata_mut().insert(call::EXTENSIONS_KEY, value);
            }
        }
        Ok(response)
    }
}

/// The tenant is needed behind the call only if extensions have to be echoed.
fn extensions_tenant(call: &Call, tenant: impl FnOnce() -> String) -> String {
    if call.context.extensions.is_empty() {
        String::new()
    } else {
        tenant()
    }
}

pub(super) async fn within<T>(limit: Option<Duration>, answer: impl Future<Output = Answer<T>>) -> Answer<T> {
    let Some(limit) = limit else { return answer.await };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let text = "the deadline passed; a task that was started goes on, and ListTasks shows it";
        Err(status::of(&Error::new(Kind::DeadlineExceeded, text), ""))
    })
}

/// The stream's bytes as they stand in the log, and the generation of the first one: the others follow densely.
fn encoded(
    answer: tonic::Response<EventStream>,
    request_id: Arc<str>,
) -> tonic::Response<BoxStream<'static, Result<Bytes, Status>>> {
    let (mut metadata, events, extensions) = answer.into_parts();
    if let Some(first) = events.first_generation() {
        metadata.insert(call::FIRST_GENERATION_KEY, first.into());
    }
    if let Some(first) = events.cursor_expired() {
        metadata.insert(call::CURSOR_EXPIRED_KEY, first.into());
    }
    let bytes = events.map(move |event| {
        event
            .map(|event| event.payload.clone())
            .map_err(|error| status::of(&error, &request_id))
    });
    tonic::Response::from_parts(metadata, bytes.boxed(), extensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_the_one_of_the_descriptor() {
        let file = prost_reflect::DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let service = file.get_service_by_name(SERVICE).unwrap();
        let mut methods: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
        let mut ours: Vec<String> = Method::ALL
            .iter()
            .map(|method| method.as_str().to_owned())
            .collect();
        methods.sort();
        ours.sort();
        assert_eq!(methods, ours);
    }
}

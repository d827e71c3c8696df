//! The one stack that every request passes, whatever its binding.
//!
//! In this order: the limit of requests in flight (so that overload is refused before it costs anything), then gRPC
//! by its content type, gRPC-Web translated to gRPC, and everything else to the JSON bindings.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Map;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response};
use tonic::codegen::StdError;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service};

use super::patience::PatientBody;
use super::{ApiSettings, Body, call, grpc, http as json, meter};
use crate::auth::Authenticator;
use crate::error::Error;
use crate::pb;
use crate::quota::Traffic;
use crate::service::AgentService;
use crate::service::push_admin::PushAdmin;
use crate::shutdown::Shutdown;

/// All bindings as one tower service. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    service: AgentService,
    push_admin: Option<PushAdmin>,
    authenticator: Authenticator,
    settings: ApiSettings,
    shutdown: Shutdown,
    /// Health and reflection.
    beside: Routes,
    health: HealthReporter,
    /// What the health checks of all protocols say.
    is_serving: AtomicBool,
    in_flight: Arc<AtomicUsize>,
}

/// What keeps the API from being built.
#[derive(Debug, thiserror::Error)]
#[error("gRPC reflection can't be set up: {0}")]
pub struct SetupError(#[from] tonic_reflection::server::Error);

impl Api {
    /// The bindings over a service.
    ///
    /// # Errors
    /// When the descriptors that were compiled in are damaged.
    pub async fn new(
        service: AgentService,
        authenticator: Authenticator,
        settings: ApiSettings,
        shutdown: Shutdown,
    ) -> Result<Self, SetupError> {
        Self::with_admin(service, None, authenticator, settings, shutdown).await
    }

    /// The same with the operators' service beside it, by gRPC.
    ///
    /// # Errors
    /// As for [`Api::new`].
    pub async fn with_admin(
        service: AgentService,
        push_admin: Option<PushAdmin>,
        authenticator: Authenticator,
        settings: ApiSettings,
        shutdown: Shutdown,
    ) -> Result<Self, SetupError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::Serving).await;
        health
            .set_service_status(grpc::SERVICE, ServingStatus::Serving)
            .await;
        let has_admin = push_admin.is_some();
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            match has_admin {
                true => builder.register_encoded_file_descriptor_set(pb::admin::FILE_DESCRIPTOR_SET),
                false => builder,
            }
        };
        // Old clients speak only v1alpha; each version lists what is registered with it.
        let beside = Routes::new(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare();
        let in_flight = Arc::default();
        Ok(Self(Arc::new(Inner {
            service,
            push_admin,
            authenticator,
            settings,
            shutdown,
            beside,
            health,
            is_serving: AtomicBool::new(true),
            in_flight,
        })))
    }

    /// Tells health checks that no more requests should be sent here.
    pub async fn not_serving(&self) {
        self.0.is_serving.store(false, Ordering::Relaxed);
        for service in ["", grpc::SERVICE] {
            self.0
                .health
                .set_service_status(service, ServingStatus::NotServing)
                .await;
        }
    }

    /// Serves one request. Each binding's future is boxed for itself: the light ones must not weigh as much as the
    /// heaviest.
    pub fn handle<B>(&self, request: Request<B>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + std::fmt::Display + Send + 'static,
    {
        let kind = kind_of(request.headers());
        let Some(permit) = self.enter() else {
            let refusal = self.overloaded(kind != Kind::Other, &request);
            return Box::pin(std::future::ready(refusal));
        };
        let api = self.clone();
        let traffic = api
            .0
            .service
            .quotas()
            .counts_bytes()
            .then(Arc::<Traffic>::default);
        let request = meter::request(request, traffic.clone());
        let (patience, rate) = (api.0.settings.body_timeout, api.0.settings.body_bytes_per_s_min);
        let request = request.map(|body| PatientBody::new(body, patience, rate));
        let answer = api.answer(kind, request, permit);
        match traffic {
            None => answer,
            Some(traffic) => Box::pin(async move { meter::response(answer.await, traffic) }),
        }
    }

    fn answer<B>(
        self,
        kind: Kind,
        request: Request<B>,
        permit: InFlight,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + std::fmt::Display + Send + 'static,
    {
        let api = self;
        match kind {
            Kind::Grpc => Box::pin(async move {
                let _permit = permit;
                grpc::handle(&api, request).await
            }),
            Kind::GrpcWeb => Box::pin(async move {
                let _permit = permit;
                json::cors::around(&api, request, Self::grpc_web).await
            }),
            Kind::Other => Box::pin(async move {
                let _permit = permit;
                json::handle(&api, request).await
            }),
        }
    }

    async fn grpc_web<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + std::fmt::Display + Send + 'static,
    {
        let mut translator = GrpcWebLayer::new().layer(GrpcOnly(self));
        match translator.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn enter(&self) -> Option<InFlight> {
        let count = &self.0.in_flight;
        let entered = InFlight(count.clone());
        (count.fetch_add(1, Ordering::Relaxed) < self.0.settings.in_flight_max).then_some(entered)
    }

    fn overloaded<B>(&self, is_grpc: bool, request: &Request<B>) -> Response<Body> {
        let limit = self.0.settings.in_flight_max;
        let error = Error::unavailable(format!(
            "{limit} requests are being served, the limit (in_flight_max); try again"
        ));
        if is_grpc {
            grpc::refuse(&error, &call::request_id(request.headers()))
        } else {
            json::refuse(self, &error, request)
        }
    }

    pub(super) fn service(&self) -> &AgentService {
        &self.0.service
    }

    /// The operators' service, where it is served.
    pub(super) fn push_admin(&self) -> Option<&PushAdmin> {
        self.0.push_admin.as_ref()
    }

    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    pub(super) fn settings(&self) -> &ApiSettings {
        &self.0.settings
    }

    /// False as soon as no more requests should be sent here.
    pub(super) fn is_serving(&self) -> bool {
        self.0.is_serving.load(Ordering::Relaxed) && !self.0.shutdown.is_draining()
    }

    pub(super) fn beside(&self) -> Routes {
        self.0.beside.clone()
    }
}

/// Which binding a request is for, as far as its content type tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grpc,
    GrpcWeb,
    Other,
}

fn kind_of(headers: &HeaderMap) -> Kind {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or(&[][..], |value| value.as_bytes());
    match content_type.strip_prefix(b"application/grpc") {
        Some([] | [b'+' | b';', ..]) => Kind::Grpc,
        Some([b'-', b'w', b'e', b'b', ..]) => Kind::GrpcWeb,
        _ => Kind::Other,
    }
}

/// One request in flight. The head of a stream's answer ends it: streams are counted by caller, in the core.
struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The future of [`Api`] as a tower service.
pub type Handled = Map<
    Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
    fn(Response<Body>) -> Result<Response<Body>, Infallible>,
>;

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Infallible>> + Send>>;

impl<B> Service<Request<B>> for Api
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + std::fmt::Display + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Handled;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.handle(request)
            .map(Ok as fn(Response<Body>) -> Result<Response<Body>, Infallible>)
    }
}

/// The gRPC binding alone, for the translator of gRPC-Web.
#[derive(Clone)]
struct GrpcOnly(Api);

impl Service<Request<Body>> for GrpcOnly {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<Body>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.0.clone();
        Box::pin(async move { Ok(grpc::handle(&api, request).await) })
    }
}

//! The operators' service on gRPC: there is no other binding of it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use prost::Message;
use tonic::server::Grpc;

use super::codec::ProtoCodec;
use super::dispatch::{Once, known, reworded, within};
use super::status;
use crate::access::AdminMethod;
use crate::api::{Api, Body, call};
use crate::context::CallContext;
use crate::error::Error;
use crate::pb::admin;
use crate::pb::inspect::Shaped;
use crate::service::push_admin::PushAdmin;

/// Serves one call of an operator. The protocol's version has no say in it.
pub(super) async fn handle<B>(
    api: &Api,
    service: &PushAdmin,
    method: AdminMethod,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send + 'static,
{
    let (head, body) = request.into_parts();
    let request_id = call::request_id(&head.headers);
    let (context, limit) = match known(api, &head, &request_id).await {
        Ok(known) => known,
        Err(error) => return status::refuse(&error, &request_id),
    };
    let request = Request::from_parts(head, body);
    let (service, context) = (service.clone(), Arc::new(context));
    let call = context.clone();
    macro_rules! operation {
        ($operation:ident, $request:ident) => {
            unary(api, request, |message: admin::$request| {
                let (service, call) = (service.clone(), call.clone());
                async move {
                    let answer = service.$operation(&call, message);
                    let answer = async { answered(answer.await, &call) };
                    within(limit, answer).await
                }
            })
            .await
        };
    }
    let response = match method {
        AdminMethod::ListDeliveries => operation!(list_deliveries, ListDeliveriesRequest),
        AdminMethod::GetDelivery => operation!(get_delivery, GetDeliveryRequest),
        AdminMethod::RedeliverDeliveries => operation!(redeliver_deliveries, RedeliverDeliveriesRequest),
        AdminMethod::DiscardDeliveries => operation!(discard_deliveries, DiscardDeliveriesRequest),
    };
    let mut response = reworded(response, api.settings(), &context.request_id);
    call::identify(response.headers_mut(), &context);
    response
}

fn answered<T>(answer: Result<T, Error>, call: &CallContext) -> super::dispatch::Answer<T> {
    answer
        .map(tonic::Response::new)
        .map_err(|error| status::of(&error, &call.request_id))
}

async fn unary<B, D, E, F, Fut>(api: &Api, request: Request<B>, operation: F) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send + 'static,
    D: Message + Default + Shaped + 'static,
    E: Message + 'static,
    F: FnMut(D) -> Fut,
    Fut: Future<Output = super::dispatch::Answer<E>>,
{
    let limits = api.service().inspect_limits().clone();
    let mut grpc =
        Grpc::new(ProtoCodec::<E, D>::new(limits)).max_decoding_message_size(api.settings().body_bytes_max);
    grpc.unary(Once(operation), request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::grpc::ADMIN_SERVICE;

    #[test]
    fn the_service_is_the_one_of_the_descriptor() {
        let file = prost_reflect::DescriptorPool::decode(crate::pb::admin::FILE_DESCRIPTOR_SET).unwrap();
        let service = file.get_service_by_name(ADMIN_SERVICE).unwrap();
        let methods: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
        let ours = AdminMethod::ALL.map(|method| method.as_str().to_owned());
        assert_eq!(methods, ours);
    }
}

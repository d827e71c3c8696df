//! Errors as gRPC tells them (specification 10.6): a status with `google.rpc` details.

use std::collections::HashMap;

use http::HeaderValue;
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::api::{Body, call};
use crate::error::Error;

/// The status of an error; `request_id` goes into its details.
pub(in crate::api) fn of(error: &Error, request_id: &str) -> Status {
    error.log(request_id);
    let mut metadata: HashMap<String, String> = error
        .metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    if !request_id.is_empty() {
        metadata.insert("requestId".to_owned(), request_id.to_owned());
    }
    let mut details = ErrorDetails::with_error_info(error.kind.reason(), error.kind.domain(), metadata);
    if !error.violations.is_empty() {
        let violations = error.violations.iter();
        details.set_bad_request(
            violations
                .map(|violation| FieldViolation::new(&violation.field, &violation.description))
                .collect::<Vec<_>>(),
        );
    }
    if error.retry_after.is_some() {
        details.set_retry_info(error.retry_after);
    }
    let message = error.message.to_string();
    Status::with_error_details_and_metadata(error.kind.grpc_code(), message, details, metadata_of(error))
}

/// A stream that ends early says where it ended, so that its reader can go on from there; a caller who is not known is
/// told how to authenticate.
fn metadata_of(error: &Error) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let last = error.metadata.iter().find(|(key, _)| *key == "lastGeneration");
    if let Some(value) = last.and_then(|(_, value)| MetadataValue::try_from(value.as_str()).ok()) {
        metadata.insert(call::LAST_GENERATION_KEY, value);
    }
    if let Some(challenge) = error.challenge.as_ref().and_then(|one| one.0.parse().ok()) {
        metadata.insert("www-authenticate", challenge);
    }
    metadata
}

/// A response that is nothing but the error.
pub(in crate::api) fn refuse(error: &Error, request_id: &str) -> http::Response<Body> {
    let mut response = of(error, request_id).into_http();
    if let Ok(id) = HeaderValue::from_str(request_id)
        && !request_id.is_empty()
    {
        response.headers_mut().insert(call::REQUEST_ID, id);
    }
    response
}

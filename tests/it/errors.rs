//! Every kind of error on three bindings, compared with the table of the specification (section 5.4) and with our own
//! kinds beside it. The rows are written out: the code must follow the table, not the other way round.

use std::collections::BTreeSet;

use a2ad::error::{A2A_DOMAIN, A2AD_DOMAIN, Error, Kind};
use tonic::Code;

/// Kind, JSON-RPC code, gRPC code, HTTP status, reason.
type Row = (Kind, i32, Code, u16, &'static str);

/// Specification 5.4; the reasons are those of section 10.6, without `Error` at the end.
#[rustfmt::skip]
const PROTOCOL: [Row; 9] = [
    (Kind::TaskNotFound, -32001, Code::NotFound, 404, "TASK_NOT_FOUND"),
    (Kind::TaskNotCancelable, -32002, Code::FailedPrecondition, 400, "TASK_NOT_CANCELABLE"),
    (Kind::PushNotificationNotSupported, -32003, Code::FailedPrecondition, 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    (Kind::UnsupportedOperation, -32004, Code::FailedPrecondition, 400, "UNSUPPORTED_OPERATION"),
    (Kind::ContentTypeNotSupported, -32005, Code::InvalidArgument, 400, "CONTENT_TYPE_NOT_SUPPORTED"),
    (Kind::InvalidAgentResponse, -32006, Code::Internal, 500, "INVALID_AGENT_RESPONSE"),
    (Kind::ExtendedAgentCardNotConfigured, -32007, Code::FailedPrecondition, 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
    (Kind::ExtensionSupportRequired, -32008, Code::FailedPrecondition, 400, "EXTENSION_SUPPORT_REQUIRED"),
    (Kind::VersionNotSupported, -32009, Code::FailedPrecondition, 400, "VERSION_NOT_SUPPORTED"),
];

/// What JSON-RPC 2.0 defines itself (specification 9.5).
#[rustfmt::skip]
const JSON_RPC: [Row; 5] = [
    (Kind::ParseError, -32700, Code::InvalidArgument, 400, "PARSE_ERROR"),
    (Kind::InvalidRequest, -32600, Code::InvalidArgument, 400, "INVALID_REQUEST"),
    (Kind::MethodNotFound, -32601, Code::Unimplemented, 404, "METHOD_NOT_FOUND"),
    (Kind::InvalidParams, -32602, Code::InvalidArgument, 400, "INVALID_PARAMS"),
    (Kind::Internal, -32603, Code::Internal, 500, "INTERNAL"),
];

/// What neither knows: the application's range of JSON-RPC, by the HTTP status where nothing else fits.
#[rustfmt::skip]
const OURS: [Row; 10] = [
    (Kind::NotFound, -31404, Code::NotFound, 404, "NOT_FOUND"),
    (Kind::Unauthenticated, -31401, Code::Unauthenticated, 401, "UNAUTHENTICATED"),
    (Kind::PermissionDenied, -31403, Code::PermissionDenied, 403, "PERMISSION_DENIED"),
    (Kind::ResourceExhausted, -31429, Code::ResourceExhausted, 429, "RESOURCE_EXHAUSTED"),
    (Kind::UnsupportedMediaType, -32005, Code::InvalidArgument, 415, "CONTENT_TYPE_NOT_SUPPORTED"),
    (Kind::MethodNotAllowed, -32601, Code::Unimplemented, 405, "METHOD_NOT_ALLOWED"),
    (Kind::Conflict, -31409, Code::Aborted, 409, "CONFLICT"),
    (Kind::DeadlineExceeded, -31504, Code::DeadlineExceeded, 504, "DEADLINE_EXCEEDED"),
    (Kind::Unavailable, -32603, Code::Unavailable, 503, "UNAVAILABLE"),
    (Kind::DataLoss, -31500, Code::DataLoss, 500, "DATA_LOSS"),
];

fn rows() -> impl Iterator<Item = Row> {
    PROTOCOL.into_iter().chain(JSON_RPC).chain(OURS)
}

#[test]
fn every_kind_is_what_the_table_says() {
    for (kind, json_rpc, grpc, http, reason) in rows() {
        let seen = (
            kind.json_rpc_code(),
            kind.grpc_code(),
            kind.http_status(),
            kind.reason(),
        );
        assert_eq!(seen, (json_rpc, grpc, http, reason), "{kind:?}");
    }
    let kinds: Vec<Kind> = rows().map(|row| row.0).collect();
    assert!(
        Kind::ALL.iter().all(|kind| kinds.contains(kind)),
        "a kind is not in the table"
    );
    assert_eq!(kinds.len(), Kind::ALL.len());
}

#[test]
fn the_protocols_domain_is_for_the_protocols_reasons() {
    let mut protocol: BTreeSet<&str> = PROTOCOL.iter().map(|row| row.4).collect();
    // The official SDKs know this one by the protocol's domain too, though its table has no line for it.
    protocol.insert("INVALID_PARAMS");
    for (kind, _, _, _, reason) in rows() {
        let domain = if protocol.contains(reason) {
            A2A_DOMAIN
        } else {
            A2AD_DOMAIN
        };
        assert_eq!(kind.domain(), domain, "{kind:?}");
    }
    assert_eq!(A2A_DOMAIN, "a2a-protocol.org");
}

#[test]
fn codes_stay_in_the_ranges_that_are_theirs() {
    for (kind, json_rpc, ..) in OURS {
        // -32001 to -32099 belongs to the protocol, -32700 to -32600 to JSON-RPC; ours that say the same as one of
        // theirs take its code.
        let is_borrowed = PROTOCOL.iter().chain(&JSON_RPC).any(|row| row.1 == json_rpc);
        assert!(is_borrowed || (-31_999..=-31_000).contains(&json_rpc), "{kind:?}");
    }
    let own: BTreeSet<i32> = PROTOCOL.iter().chain(&JSON_RPC).map(|row| row.1).collect();
    assert_eq!(
        own.len(),
        PROTOCOL.len() + JSON_RPC.len(),
        "no code means two things"
    );
}

#[test]
fn too_large_is_a_form_of_its_own() {
    let error = Error::too_large("big");
    let seen = (
        error.json_rpc_code(),
        error.kind.grpc_code(),
        error.http_status(),
        error.kind.reason(),
    );
    assert_eq!(seen, (-32600, Code::ResourceExhausted, 413, "RESOURCE_EXHAUSTED"));
}

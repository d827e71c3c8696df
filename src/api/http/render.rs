//! Errors as both JSON bindings write them: the same details, in two envelopes (specification 9.5 and 11.6).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use tonic::Code;

use super::media::Media;
use super::reply;
use crate::api::Body;
use crate::error::{Error, Violation};

/// An error as an HTTP+JSON response.
pub(super) fn http_json(error: &Error, media: Media, request_id: &str) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = reply::json(status, media, http_json_object(error, request_id));
    set_headers(response.headers_mut(), error);
    response
}

/// The body of an HTTP+JSON error: `google.rpc.Status` in JSON, under `error`.
pub(super) fn http_json_object(error: &Error, request_id: &str) -> Bytes {
    error.log(request_id);
    #[derive(serde::Serialize)]
    struct Body<'a> {
        error: Status<'a>,
    }
    #[derive(serde::Serialize)]
    struct Status<'a> {
        code: u16,
        status: &'static str,
        message: &'a str,
        details: Details<'a>,
    }
    let details = Details { error, request_id };
    let status = status_name(error.kind.grpc_code());
    written(&Body {
        error: Status {
            code: error.http_status(),
            status,
            message: &error.message,
            details,
        },
    })
}

/// An error as a JSON-RPC response object; `id` is JSON text.
pub(super) fn json_rpc_object(error: &Error, id: &str, request_id: &str) -> Bytes {
    error.log(request_id);
    #[derive(serde::Serialize)]
    struct Member<'a> {
        code: i32,
        message: &'a str,
        data: Details<'a>,
    }
    let data = Details { error, request_id };
    let member = written(&Member {
        code: error.json_rpc_code(),
        message: &error.message,
        data,
    });
    Bytes::from(
        [
            br#"{"jsonrpc":"2.0","id":"#,
            id.as_bytes(),
            br#","error":"#,
            &member,
            b"}",
        ]
        .concat(),
    )
}

/// The HTTP status of a JSON-RPC error. The field expects 200 for what the envelope already says; the others are for
/// proxies, rate limiters and credential helpers, which don't read envelopes.
pub(super) fn json_rpc_status(error: &Error) -> StatusCode {
    match error.http_status() {
        status @ (401 | 403 | 413 | 415 | 429 | 503) => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
        }
        _ => StatusCode::OK,
    }
}

/// What HTTP itself wants to know of an error.
pub(super) fn set_headers(headers: &mut HeaderMap, error: &Error) {
    if let Some(delay) = error.retry_after {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = error.challenge.as_ref().and_then(|one| one.0.parse().ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
}

fn written(value: &impl Serialize) -> Bytes {
    // Strings and numbers only: there is nothing in here that JSON could refuse.
    serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
}

/// The details of an error, each with its `@type`.
struct Details<'a> {
    error: &'a Error,
    request_id: &'a str,
}

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Error {
            kind,
            violations,
            retry_after,
            ..
        } = self.error;
        let mut details = serializer.serialize_seq(None)?;
        details.serialize_element(&Detail::ErrorInfo {
            reason: kind.reason(),
            domain: kind.domain(),
            metadata: Metadata(self),
        })?;
        if !violations.is_empty() {
            details.serialize_element(&Detail::BadRequest {
                field_violations: Violations(violations),
            })?;
        }
        if let Some(delay) = retry_after {
            details.serialize_element(&Detail::RetryInfo {
                retry_delay: format!("{}s", delay.as_secs_f64()),
            })?;
        }
        details.end()
    }
}

#[derive(serde::Serialize)]
#[serde(tag = "@type", rename_all_fields = "camelCase")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo {
        reason: &'static str,
        domain: &'static str,
        metadata: Metadata<'a>,
    },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    BadRequest { field_violations: Violations<'a> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo { retry_delay: String },
}

struct Metadata<'a>(&'a Details<'a>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(None)?;
        for (key, value) in &self.0.error.metadata {
            entries.serialize_entry(key, value)?;
        }
        entries.serialize_entry("requestId", self.0.request_id)?;
        entries.end()
    }
}

struct Violations<'a>(&'a [Violation]);

impl Serialize for Violations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct One<'a> {
            field: &'a str,
            description: &'a str,
        }
        let each = self
            .0
            .iter()
            .map(|Violation { field, description }| One { field, description });
        serializer.collect_seq(each)
    }
}

/// The name that `google.rpc.Code` gives a code.
fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Kind;

    /// Kind, HTTP status, status name, JSON-RPC code, HTTP status on JSON-RPC.
    const TABLE: &str = "\
        TaskNotFound 404 NOT_FOUND -32001 200
        TaskNotCancelable 400 FAILED_PRECONDITION -32002 200
        PushNotificationNotSupported 400 FAILED_PRECONDITION -32003 200
        UnsupportedOperation 400 FAILED_PRECONDITION -32004 200
        ContentTypeNotSupported 400 INVALID_ARGUMENT -32005 200
        InvalidAgentResponse 500 INTERNAL -32006 200
        ExtendedAgentCardNotConfigured 400 FAILED_PRECONDITION -32007 200
        ExtensionSupportRequired 400 FAILED_PRECONDITION -32008 200
        VersionNotSupported 400 FAILED_PRECONDITION -32009 200
        InvalidParams 400 INVALID_ARGUMENT -32602 200
        ParseError 400 INVALID_ARGUMENT -32700 200
        InvalidRequest 400 INVALID_ARGUMENT -32600 200
        MethodNotFound 404 UNIMPLEMENTED -32601 200
        NotFound 404 NOT_FOUND -31404 200
        Unauthenticated 401 UNAUTHENTICATED -31401 401
        PermissionDenied 403 PERMISSION_DENIED -31403 403
        ResourceExhausted 429 RESOURCE_EXHAUSTED -31429 429
        UnsupportedMediaType 415 INVALID_ARGUMENT -32005 415
        MethodNotAllowed 405 UNIMPLEMENTED -32601 200
        Conflict 409 ABORTED -31409 200
        DeadlineExceeded 504 DEADLINE_EXCEEDED -31504 200
        Unavailable 503 UNAVAILABLE -32603 503
        DataLoss 500 DATA_LOSS -31500 200
        Internal 500 INTERNAL -32603 200
        ";

    #[test]
    fn every_kind_on_both_bindings() {
        let mut table = String::new();
        for kind in Kind::ALL {
            let error = Error::new(kind, "why");
            let (code, rpc) = (error.http_status(), error.json_rpc_code());
            let status = status_name(kind.grpc_code());
            let rpc_status = json_rpc_status(&error).as_u16();
            table.push_str(&format!("{kind:?} {code} {status} {rpc} {rpc_status}\n"));
            let (reason, domain) = (kind.reason(), kind.domain());
            let details = format!(
                r#"[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"{domain}","metadata":{{"requestId":"r"}}}}]"#
            );
            assert_eq!(
                http_json_object(&error, "r"),
                format!(
                    r#"{{"error":{{"code":{code},"status":"{status}","message":"why","details":{details}}}}}"#
                )
            );
            assert_eq!(
                json_rpc_object(&error, "1.50", "r"),
                format!(
                    r#"{{"jsonrpc":"2.0","id":1.50,"error":{{"code":{rpc},"message":"why","data":{details}}}}}"#
                )
            );
            let response = http_json(&error, Media::A2aJson, "r");
            assert_eq!(response.status().as_u16(), code);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/a2a+json");
            assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
        }
        let expected: String = TABLE.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
        assert_eq!(table, expected);
    }

    #[test]
    fn a_challenge_goes_into_its_header() {
        let error = Error::unauthenticated("who?", "Bearer realm=\"a\"".to_owned());
        let response = http_json(&error, Media::Json, "r");
        assert_eq!(response.status().as_u16(), 401);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"a\"");
    }

    #[test]
    fn details_follow_the_error() {
        let mut error =
            Error::invalid("message.parts", "at least one part is \"required\"").with("limit", "1");
        error.retry_after = Some(Duration::from_millis(1_500));
        let details = concat!(
            r#"[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_PARAMS","domain":"a2a-protocol.org","#,
            r#""metadata":{"limit":"1","requestId":"r"}},"#,
            r#"{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":"#,
            r#"[{"field":"message.parts","description":"at least one part is \"required\""}]},"#,
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]"#
        );
        let body = http_json_object(&error, "r");
        assert!(
            std::str::from_utf8(&body)
                .unwrap()
                .ends_with(&format!(r#""details":{details}}}}}"#)),
            "{body:?}"
        );
        assert_eq!(
            http_json(&error, Media::Json, "r").headers()[header::RETRY_AFTER],
            "2"
        );
    }

    #[test]
    fn too_large_is_413_and_an_invalid_request() {
        let error = Error::too_large("big");
        assert_eq!(
            (error.http_status(), json_rpc_status(&error).as_u16()),
            (413, 413)
        );
        assert!(
            json_rpc_object(&error, "null", "r")
                .starts_with(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#)
        );
    }
}

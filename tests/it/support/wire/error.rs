//! An error as a binding tells it, taken apart.

use std::collections::BTreeMap;
use std::time::Duration;

use a2ad::error::Kind;
use http::HeaderMap;
use serde_json::Value;
use tonic_types::StatusExt as _;

use super::Wire;

/// How a binding calls an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Grpc(tonic::Code),
    /// The code, and the HTTP status around it.
    JsonRpc(i32, u16),
    HttpJson(u16),
}

/// What all bindings tell of an error.
#[derive(Clone, Debug)]
pub struct WireError {
    pub code: Code,
    pub message: Box<str>,
    pub reason: Box<str>,
    pub domain: Box<str>,
    /// The fields that are not valid.
    pub fields: Vec<String>,
    /// That of its ErrorInfo, and under [`RETRY_AFTER`] the delay of its RetryInfo: the error stays small.
    pub metadata: BTreeMap<String, String>,
    /// Whether it says when to try again.
    pub retry: bool,
    pub headers: Box<HeaderMap>,
}

impl WireError {
    pub fn from_status(status: tonic::Status) -> Self {
        let details = status.get_error_details();
        let info = details
            .error_info()
            .cloned()
            .unwrap_or_else(|| tonic_types::ErrorInfo::new("", "", []));
        let bad = details
            .bad_request()
            .map(|bad| bad.field_violations.clone())
            .unwrap_or_default();
        Self {
            code: Code::Grpc(status.code()),
            message: status.message().into(),
            reason: info.reason.into(),
            domain: info.domain.into(),
            fields: bad.into_iter().map(|violation| violation.field).collect(),
            metadata: info
                .metadata
                .into_iter()
                .chain(
                    details
                        .retry_info()
                        .and_then(|info| info.retry_delay)
                        .map(waiting),
                )
                .collect(),
            retry: details.retry_info().is_some(),
            headers: Box::new(status.metadata().clone().into_headers()),
        }
    }

    /// Of the `error` member of a JSON body.
    pub fn from_json(wire: Wire, status: u16, headers: HeaderMap, error: &Value) -> Self {
        let code = error["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("no code in {error}"));
        let (code, details) = match wire {
            Wire::JsonRpc => (
                Code::JsonRpc(i32::try_from(code).unwrap(), status),
                &error["data"],
            ),
            _ => (Code::HttpJson(u16::try_from(code).unwrap()), &error["details"]),
        };
        let detail = |name: &str| {
            let kind = format!("type.googleapis.com/google.rpc.{name}");
            details
                .as_array()
                .unwrap()
                .iter()
                .find(|detail| detail["@type"] == *kind)
        };
        let info = detail("ErrorInfo").unwrap_or_else(|| panic!("no ErrorInfo in {error}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let violations = detail("BadRequest").map(|bad| bad["fieldViolations"].as_array().unwrap().clone());
        let metadata = info["metadata"].as_object().unwrap();
        Self {
            code,
            message: text(&error["message"]).into(),
            reason: text(&info["reason"]).into(),
            domain: text(&info["domain"]).into(),
            fields: violations
                .iter()
                .flatten()
                .map(|violation| text(&violation["field"]))
                .collect(),
            metadata: metadata
                .iter()
                .map(|(key, value)| (key.clone(), text(value)))
                .chain(detail("RetryInfo").map(|info| waiting(delay(&info["retryDelay"]))))
                .collect(),
            retry: detail("RetryInfo").is_some(),
            headers: Box::new(headers),
        }
    }

    /// When to try again, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        let nanos = self.metadata.get(RETRY_AFTER)?.parse().unwrap();
        Some(Duration::from_nanos(nanos))
    }

    /// Checks that this is how its binding tells an error of `kind`.
    #[track_caller]
    pub fn is(self, kind: Kind) -> Self {
        let expected = match self.code {
            Code::Grpc(_) => Code::Grpc(kind.grpc_code()),
            Code::JsonRpc(..) => Code::JsonRpc(kind.json_rpc_code(), rpc_status(kind.http_status())),
            Code::HttpJson(_) => Code::HttpJson(kind.http_status()),
        };
        assert_eq!((self.code, &*self.reason), (expected, kind.reason()), "{self:?}");
        assert_eq!(&*self.domain, kind.domain());
        self
    }

    /// Checks that this is how its binding says that a request was too large.
    #[track_caller]
    pub fn too_large(self) -> Self {
        let expected = match self.code {
            Code::Grpc(_) => Code::Grpc(tonic::Code::ResourceExhausted),
            Code::JsonRpc(..) => Code::JsonRpc(-32600, 413),
            Code::HttpJson(_) => Code::HttpJson(413),
        };
        assert_eq!(self.code, expected, "{self:?}");
        self
    }
}

const RETRY_AFTER: &str = "retry after";

fn waiting(delay: Duration) -> (String, String) {
    (RETRY_AFTER.to_owned(), delay.as_nanos().to_string())
}

/// A duration in ProtoJSON.
fn delay(value: &Value) -> Duration {
    let seconds = value.as_str().and_then(|text| text.strip_suffix('s')).unwrap();
    Duration::from_secs_f64(seconds.parse().unwrap())
}

/// The HTTP status around a JSON-RPC error: 200, but for what proxies and credential helpers have to know.
pub fn rpc_status(status: u16) -> u16 {
    if matches!(status, 401 | 403 | 413 | 415 | 429 | 503) {
        status
    } else {
        200
    }
}

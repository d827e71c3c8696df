//! Errors out of the JSON bindings (specification 9.5 and 11.6), in the forms of 1.0 and in older ones.
//!
//! The kind is that of the reason, else that of the code, else that of the HTTP status, and with it the same on every
//! binding. Of what a stranger says no more is kept than a person can read.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tonic::Code;

use super::status;
use crate::client::{AgentError, Error};
use crate::egress;
use crate::error::{A2A_DOMAIN, Kind, Violation};

/// The most bytes that are read of an error.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// The most bytes of each text in it.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Characters of it that stand in a sentence of ours.
const QUOTED_CHARS_MAX: usize = 200;
/// The most details, and the most entries of each.
pub(super) const DETAILS_MAX: usize = 64;

/// The longest time that an agent can say; it is more than anybody waits.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(365 * 86_400);

/// What the egress guard says.
pub(super) fn of_egress(origin: &str, error: &egress::Error) -> Error {
    let (address, cause) = (origin.to_owned(), error.to_string());
    match error {
        // It says nothing of the agent.
        egress::Error::Local(_) => Error::HeldBack(cause),
        egress::Error::Http(_) => Error::Interrupted { address, cause },
        _ => Error::Unreachable { address, cause },
    }
}

/// What breaks a body off.
pub(super) fn broken(origin: &str, error: &hyper::Error) -> Error {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Error::Interrupted {
        address: origin.to_owned(),
        cause: cause.to_string(),
    }
}

/// The error in the `error` member of a JSON-RPC response.
pub(super) fn json_rpc(head: &Parts, error: &Value) -> AgentError {
    let details = Details::of(&error["data"]);
    let code = error["code"].as_i64();
    let kind = details.kind.or_else(|| code.and_then(of_number));
    finished(head, kind, code.map(|code| code.to_string()), error, details)
}

/// The error in the body of an HTTP+JSON answer, or in an event of a stream, if it is one.
pub(super) fn http_json(head: &Parts, body: &Value) -> AgentError {
    let error = match &body["error"] {
        Value::Object(_) => &body["error"],
        _ => body,
    };
    let details = Details::of(&error["details"]);
    let kind = details
        .kind
        .or_else(|| error["type"].as_str().and_then(of_problem))
        .or_else(|| error["code"].as_i64().and_then(of_number))
        .or_else(|| error["status"].as_str().and_then(of_name))
        .or_else(|| error["code"].as_u64().and_then(of_status))
        // A problem in a stream: the head has come before it, and says that all is well.
        .or_else(|| error["status"].as_u64().and_then(of_status));
    let code = ["code", "status"].iter().find_map(|name| error[name].as_i64());
    finished(head, kind, code.map(|code| code.to_string()), error, details)
}

/// The error that is nothing but a status, with what a proxy may have written.
pub(super) fn bare(head: &Parts) -> AgentError {
    finished(head, None, None, &Value::Null, Details::default())
}

fn finished(
    head: &Parts,
    kind: Option<Kind>,
    code: Option<String>,
    error: &Value,
    details: Details,
) -> AgentError {
    let status = head.status;
    let said = ["message", "detail", "title", "error"]
        .iter()
        .find_map(|name| error[name].as_str());
    AgentError {
        kind: kind
            .or_else(|| of_status(u64::from(status.as_u16())))
            .unwrap_or(Kind::Internal),
        code: code.unwrap_or_else(|| status.as_str().to_owned()),
        message: said.map_or_else(|| without_words(status), cut),
        violations: details.violations,
        metadata: details.metadata,
        retry_after: retry_after(details.retry_after, &head.headers),
        challenge: challenge(&head.headers),
    }
}

fn without_words(status: StatusCode) -> String {
    if status.is_success() {
        return "the agent answered with an error that has no words".to_owned();
    }
    format!("the agent, or a proxy before it, answered with HTTP status {status}")
}

/// How to authenticate: every challenge there is, as one list.
pub(super) fn challenge(headers: &HeaderMap) -> Option<String> {
    let all: Vec<&str> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!all.is_empty()).then(|| cut(&all.join(", ")))
}

/// When trying again makes sense: what the details of an error say, or else `Retry-After` in seconds or as a date (RFC 9110
/// section 10.2.3).
pub(super) fn retry_after(details: Option<Duration>, headers: &HeaderMap) -> Option<Duration> {
    let found = details.or_else(|| {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return until(date(text)?, headers);
        }
        // More digits than fit are more seconds than anybody waits.
        Some(text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs))
    });
    found.map(|found| found.min(RETRY_AFTER_MAX))
}

/// How long it is until then by the clock of whoever wrote the date, which need not be ours; none at all if it is past.
fn until(then: SystemTime, headers: &HeaderMap) -> Option<Duration> {
    let written = headers.get(DATE).and_then(|value| date(value.to_str().ok()?));
    let now = written.unwrap_or_else(SystemTime::now);
    Some(then.duration_since(now).unwrap_or_default())
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// The kind that a reason means. Some SDKs put reasons into the protocol's domain that it has not defined.
pub(super) fn of_reason(reason: &str, domain: &str) -> Option<Kind> {
    let is_loose = || domain.is_empty() || domain == A2A_DOMAIN;
    Kind::of_reason(reason, domain).or_else(|| match reason {
        _ if !is_loose() => None,
        "INTERNAL_ERROR" => Some(Kind::Internal),
        _ => Kind::ALL.into_iter().find(|kind| kind.reason() == reason),
    })
}

/// The kind that the type of a problem means (RFC 9457), as drafts of 1.0 had it.
fn of_problem(uri: &str) -> Option<Kind> {
    let name = uri.rsplit('/').next()?.trim_end_matches("-error");
    of_reason(&name.to_ascii_uppercase().replace('-', "_"), A2A_DOMAIN)
}

/// The kind of a JSON-RPC code. The one for everything means nothing.
fn of_number(code: i64) -> Option<Kind> {
    let is_it = |kind: &Kind| i64::from(kind.json_rpc_code()) == code;
    let found = Kind::ALL.into_iter().find(is_it);
    found.filter(|kind| kind.json_rpc_code() != Kind::Internal.json_rpc_code())
}

/// The kind of a code of `google.rpc.Code`, by name.
fn of_name(name: &str) -> Option<Kind> {
    let code = (1..=16)
        .map(Code::from_i32)
        .find(|code| status::code_name(*code) == name);
    code.map(status::of_code)
}

/// The kind of an HTTP status, if it is one of an error.
fn of_status(status: u64) -> Option<Kind> {
    Some(match status {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 | 410 => Kind::NotFound,
        405 => Kind::MethodNotAllowed,
        408 | 504 => Kind::DeadlineExceeded,
        409 => Kind::Conflict,
        413 | 429 => Kind::ResourceExhausted,
        415 => Kind::UnsupportedMediaType,
        501 => Kind::MethodNotFound,
        502 | 503 => Kind::Unavailable,
        400..=499 => Kind::InvalidParams,
        500..=599 => Kind::Internal,
        _ => return None,
    })
}

/// What the details of an error say that is known here.
#[derive(Default)]
struct Details {
    kind: Option<Kind>,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
}

impl Details {
    /// Out of a list of details, each with its `@type`, or of one.
    fn of(value: &Value) -> Self {
        let all = match value {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut details = Self::default();
        for detail in all.iter().take(DETAILS_MAX) {
            let kind = detail["@type"].as_str().unwrap_or_default();
            match kind.rsplit('/').next().unwrap_or_default() {
                "google.rpc.ErrorInfo" => details.info(detail),
                "google.rpc.BadRequest" => details.bad_request(&detail["fieldViolations"]),
                "google.rpc.RetryInfo" => details.retry_after = delay(&detail["retryDelay"]),
                _ => {}
            }
        }
        details
    }

    fn info(&mut self, detail: &Value) {
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        self.kind = self.kind.or_else(|| of_reason(text("reason"), text("domain")));
        let entries = detail["metadata"].as_object().into_iter().flatten();
        for (name, value) in entries.take(DETAILS_MAX) {
            let text = value.as_str().map_or_else(|| cut(&value.to_string()), cut);
            self.metadata.insert(cut(name), text);
        }
    }

    fn bad_request(&mut self, violations: &Value) {
        let all = violations.as_array().into_iter().flatten();
        let room = DETAILS_MAX.saturating_sub(self.violations.len());
        self.violations.extend(all.take(room).map(|violation| Violation {
            field: cut(violation["field"].as_str().unwrap_or_default()),
            description: cut(violation["description"].as_str().unwrap_or_default()),
        }));
    }
}

/// A duration in ProtoJSON: `1.5s`.
fn delay(value: &Value) -> Option<Duration> {
    let seconds: f64 = value.as_str()?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// As much of what a stranger has written as stands in a sentence of ours.
pub(super) fn brief(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// As much of a text as is kept.
pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        const NOON: &str = "Sun, 22 Nov 2026 12:00:00 GMT";
        for (text, date, seconds) in [
            ("7", None, Some(7)),
            ("Sun, 22 Nov 2026 12:00:30 GMT", Some(NOON), Some(30)),
            ("Sunday, 22-Nov-26 12:00:30 GMT", Some(NOON), Some(30)),
            ("Sun Nov 22 12:00:30 2026", Some(NOON), Some(30)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", Some(NOON), Some(0)),
            ("Sat, 01 Jan 2000 00:00:00 GMT", None, Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(NOON), Some(365 * 86_400)),
            ("18446744073709551615", None, Some(365 * 86_400)),
            ("99999999999999999999", None, Some(365 * 86_400)),
            ("tomorrow", Some(NOON), None),
            ("", None, None),
            ("-1", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            let found = retry_after(None, &headers).map(|found| found.as_secs());
            assert_eq!(found, seconds, "{text}");
        }
        // By our own clock, where the answer says nothing of its own.
        let soon = SystemTime::now() + Duration::from_secs(600);
        let mut headers = HeaderMap::new();
        let text = httpdate::fmt_http_date(soon);
        headers.insert(RETRY_AFTER, HeaderValue::try_from(text).unwrap());
        let found = retry_after(None, &headers).unwrap().as_secs();
        assert!((500..=600).contains(&found), "{found}");
        let details = Some(Duration::from_millis(1_500));
        assert_eq!(retry_after(details, &headers), details);
    }
}

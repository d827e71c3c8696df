//! What an answer means: delivered, the end of the configuration, or a failure that is tried again.
//!
//! 2xx is delivered, 410 ends the configuration. Everything else is tried again for as long as the span lasts, 4xx too:
//! receivers are repaired, tokens renewed, and routes come with the next deployment. Redirects are never followed; where
//! they lead was not agreed on.

use std::time::Duration;

use http::StatusCode;
use time::PrimitiveDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use super::transport::Answer;
use crate::egress::Error;
use crate::repository::Failure;

/// A date of HTTP (RFC 9110, 5.6.7) in the one form that may still be sent.
const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has taken it.
    Delivered,
    /// The receiver wants no more.
    Gone,
    /// It is to be tried again.
    Failed(Failed),
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// How long the receiver asks to be left alone.
    pub(super) asked: Option<Duration>,
    /// What failed is the host, and not this one path of it.
    pub(super) is_away: bool,
    /// The host has answered, whatever it said.
    pub(super) is_answered: bool,
    /// What is missing is a place or a port of this machine; nothing was asked of the host.
    pub(super) is_local: bool,
    /// The guard of requests that go out forbids it.
    pub(super) is_refused: bool,
}

/// Judges an answer that came at `now_ms`, in milliseconds since 1970.
pub(super) fn judge(answer: Result<Answer, Error>, now_ms: i64) -> Verdict {
    match answer {
        Ok(Answer { status, .. }) if status.is_success() => Verdict::Delivered,
        Ok(Answer { status, .. }) if status == StatusCode::GONE => Verdict::Gone,
        Ok(Answer { status, retry_after }) => Verdict::Failed(Failed {
            failure: Failure {
                status: Some(status.as_u16()),
                cause: cause(status),
            },
            asked: retry_after.and_then(|text| wait(&text, now_ms)),
            is_away: status.is_server_error(),
            is_answered: true,
            is_local: false,
            is_refused: false,
        }),
        Err(error) => Verdict::Failed(Failed {
            failure: Failure {
                status: None,
                cause: error.to_string(),
            },
            asked: None,
            is_answered: false,
            is_local: matches!(error, Error::Local(_)),
            is_refused: matches!(error, Error::Refused(_)),
            is_away: !matches!(error, Error::Refused(_) | Error::Local(_)),
        }),
    }
}

fn cause(status: StatusCode) -> String {
    if status.is_redirection() {
        return format!(
            "the receiver answered with status {status}; redirects are not followed, register the new URL"
        );
    }
    format!("the receiver answered with status {status}")
}

/// `Retry-After`: seconds, or a date.
fn wait(text: &str, now_ms: i64) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more seconds than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let at = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc();
    let at_ms = at.unix_timestamp().saturating_mul(1_000);
    Some(Duration::from_millis(
        u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 22 November 2026, 02:00:00 UTC.
    const NOW_MS: i64 = 1_795_312_800_000;

    fn answered(status: u16, retry_after: Option<&str>) -> Verdict {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(str::to_owned),
        };
        judge(Ok(answer), NOW_MS)
    }

    fn failed(verdict: Verdict) -> Failed {
        match verdict {
            Verdict::Failed(failed) => failed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_status_has_its_meaning() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(answered(status, None), Verdict::Delivered, "{status}");
        }
        assert_eq!(answered(410, None), Verdict::Gone);
        for (status, is_away) in [
            (301, false),
            (307, false),
            (400, false),
            (401, false),
            (404, false),
            (429, false),
            (500, true),
            (503, true),
        ] {
            let failed = failed(answered(status, None));
            assert_eq!((failed.failure.status, failed.is_away), (Some(status), is_away));
            assert!(failed.failure.cause.contains(&status.to_string()));
        }
        let refused = failed(judge(Err(Error::Refused(crate::egress::Refusal::Host)), NOW_MS));
        assert!(refused.is_refused && !refused.is_away && !refused.is_local);
        let local = failed(judge(Err(Error::Local("no port".to_owned())), NOW_MS));
        assert!(!local.is_refused && !local.is_away && local.is_local);
        let silent = failed(judge(Err(Error::Timeout), NOW_MS));
        assert!(!silent.is_refused && silent.is_away && silent.failure.status.is_none());
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 22 Nov 2026 02:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 01:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("Sun, 32 Nov 2026 02:00:30 GMT", None),
        ] {
            let asked = failed(answered(503, Some(text))).asked;
            assert_eq!(asked, seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}

//! How a command fails: the code, what to do next, and the exit status (a2a-cli specification 11.4, 11.6, appendices B and D).
//!
//! What the protocol names keeps the protocol's name, on every binding the same. `A2ACLI_ERR_*` are the failures of this
//! side. What an agent answers that neither names begins with `A2AD_`.

use std::borrow::Cow;

use a2ad::client::{AgentError, Error};
use a2ad::error::Kind;
use serde::Serialize;
use serde_json::{Value, json};

use super::secrets::Secrets;

/// What helps who showed no credential.
pub const CREDENTIALS_HINT: &str = "`a2ad card get` shows what the agent takes; set A2ACLI_BEARER or A2ACLI_API_KEY, or name a certificate with --cert";

/// Why a command did not do its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// What to do next, as a command where there is one.
    pub hint: Option<String>,
    /// The code that the binding gave.
    pub a2a_code: Option<String>,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Usage,
    CardNotFound,
    CardInvalid,
    Unreachable,
    CredentialsMissing,
    AuthFailed,
    Timeout,
    Internal,
    /// The agent's answer.
    Protocol(Kind),
}

impl Code {
    /// The text of `code`.
    pub fn name(self) -> Cow<'static, str> {
        let name = match self {
            Self::Usage => "A2ACLI_ERR_USAGE",
            Self::CardNotFound => "A2ACLI_ERR_CARD_NOT_FOUND",
            Self::CardInvalid => "A2ACLI_ERR_CARD_INVALID",
            Self::Unreachable => "A2ACLI_ERR_UNREACHABLE",
            Self::CredentialsMissing => "A2ACLI_ERR_CREDENTIALS_MISSING",
            Self::AuthFailed => "A2ACLI_ERR_AUTH_FAILED",
            Self::Timeout => "A2ACLI_ERR_TIMEOUT",
            Self::Internal => "A2ACLI_ERR_INTERNAL",
            Self::Protocol(kind) => return protocol_name(kind),
        };
        Cow::Borrowed(name)
    }

    /// The exit status.
    pub fn exit(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::CardNotFound | Self::Unreachable => 3,
            Self::CredentialsMissing | Self::AuthFailed => 4,
            Self::Timeout => 5,
            Self::CardInvalid | Self::Internal | Self::Protocol(_) => 1,
        }
    }
}

/// The name of an error in the specification (3.3.2, 5.4 and 9.5), or one of our own for what it has no name for.
fn protocol_name(kind: Kind) -> Cow<'static, str> {
    let name = match kind {
        Kind::TaskNotFound => "TaskNotFoundError",
        Kind::TaskNotCancelable => "TaskNotCancelableError",
        Kind::PushNotificationNotSupported => "PushNotificationNotSupportedError",
        Kind::UnsupportedOperation => "UnsupportedOperationError",
        Kind::ContentTypeNotSupported | Kind::UnsupportedMediaType => "ContentTypeNotSupportedError",
        Kind::InvalidAgentResponse => "InvalidAgentResponseError",
        Kind::ExtendedAgentCardNotConfigured => "ExtendedAgentCardNotConfiguredError",
        Kind::ExtensionSupportRequired => "ExtensionSupportRequiredError",
        Kind::VersionNotSupported => "VersionNotSupportedError",
        Kind::InvalidParams => "InvalidParamsError",
        Kind::ParseError => "JSONParseError",
        Kind::InvalidRequest => "InvalidRequestError",
        Kind::MethodNotFound | Kind::MethodNotAllowed => "MethodNotFoundError",
        Kind::Internal => "InternalError",
        other => return Cow::Owned(format!("A2AD_{}", other.reason())),
    };
    Cow::Borrowed(name)
}

/// The envelope (appendix B).
#[derive(Serialize)]
pub struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    code: Cow<'static, str>,
    message: &'a str,
    hint: Option<&'a str>,
    a2a_code: Value,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            a2a_code: None,
        }
    }

    /// The command can't be carried out as it is written.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Nothing of what has a code of its own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same without secrets: agents may say back what they were shown.
    #[must_use]
    pub fn without(&self, secrets: &Secrets) -> Self {
        let hidden = |text: &String| secrets.hidden(text).into_owned();
        Self {
            code: self.code,
            message: hidden(&self.message),
            hint: self.hint.as_ref().map(hidden),
            a2a_code: self.a2a_code.as_ref().map(hidden),
        }
    }

    /// The failure as JSON.
    pub fn envelope(&self) -> Envelope<'_> {
        let number = |code: &String| code.parse::<i64>().ok().map(|number| json!(number));
        Envelope {
            error: Body {
                code: self.code.name(),
                message: &self.message,
                hint: self.hint.as_deref(),
                a2a_code: self
                    .a2a_code
                    .as_ref()
                    .map_or(Value::Null, |code| number(code).unwrap_or_else(|| json!(code))),
            },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Agent(error) => return Self::from(*error),
            Error::Address(_)
            | Error::Reference(_)
            | Error::Tls(_)
            | Error::Credential(_)
            | Error::Unsendable(_) => Code::Usage,
            Error::TokenRefused(_) => Code::AuthFailed,
            Error::Unreachable { .. } | Error::Interrupted { .. } | Error::TokenUnavailable(_) => {
                Code::Unreachable
            }
            Error::Timeout(_) | Error::Stalled(_) => Code::Timeout,
            Error::CredentialMissing(_) => Code::CredentialsMissing,
            Error::CardNotFound(_) => Code::CardNotFound,
            Error::Card(_) => Code::CardInvalid,
            Error::Malformed(_) => Code::Protocol(Kind::InvalidAgentResponse),
            Error::NotSupported(_) => Code::Protocol(Kind::UnsupportedOperation),
            Error::TooLarge { .. } | Error::HeldBack(_) | Error::Content { .. } => Code::Internal,
        };
        let failure = Self::new(code, error.to_string());
        match hint(code) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let code = match error.kind {
            Kind::Unauthenticated | Kind::PermissionDenied => Code::AuthFailed,
            Kind::DeadlineExceeded => Code::Timeout,
            kind => Code::Protocol(kind),
        };
        let mut message = error.message;
        for violation in &error.violations {
            let told = format!("{}: {}", violation.field, violation.description);
            // A single violation is often the whole message.
            if !message.contains(&told) {
                message = format!("{message}; {told}");
            }
        }
        let again = error.retry_after.map(|after| format!("try again in {after:.0?}"));
        Self {
            code,
            message,
            hint: again.or_else(|| hint(code).map(str::to_owned)),
            a2a_code: Some(error.code),
        }
    }
}

/// What helps with a kind of failure in any command.
fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::Unreachable => "check --agent-card, and that the agent runs; --debug shows what was tried",
        Code::CardNotFound => "name the card's URL or file with --agent-card",
        Code::CardInvalid => "`a2ad card get --validate` says what is wrong with it",
        Code::CredentialsMissing => CREDENTIALS_HINT,
        Code::AuthFailed => {
            "the agent does not take this credential; `a2ad card get` shows what it takes, --debug what it said"
        }
        Code::Protocol(Kind::TaskNotFound) => {
            "check the task's id; `a2ad task list` shows the tasks that you may see, --debug what the agent said"
        }
        Code::Protocol(Kind::VersionNotSupported) => "name a version that the card has with --a2a-version",
        Code::Protocol(_) => "--debug shows what was sent and answered",
        Code::Usage | Code::Timeout | Code::Internal => return None,
    })
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<a2ad::pb::json::JsonError> for Failure {
    fn from(error: a2ad::pb::json::JsonError) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_protocol_are_kept_and_none_is_made_up_in_the_specifications_space() {
        for kind in Kind::ALL {
            let name = Code::Protocol(kind).name();
            assert!(name.ends_with("Error") != name.starts_with("A2AD_"), "{name}");
            assert!(!name.starts_with("A2ACLI_"), "{name}");
        }
        assert_eq!(Code::Protocol(Kind::TaskNotFound).name(), "TaskNotFoundError");
        assert_eq!(Code::Protocol(Kind::Unavailable).name(), "A2AD_UNAVAILABLE");
    }

    #[test]
    fn the_envelope_has_all_four_members() {
        let mut failure = Failure::usage("no");
        let text = |failure: &Failure| serde_json::to_string(&failure.envelope()).unwrap();
        assert_eq!(
            text(&failure),
            r#"{"error":{"code":"A2ACLI_ERR_USAGE","message":"no","hint":null,"a2aCode":null}}"#
        );
        failure.hint = Some("do".into());
        for (code, json) in [
            ("-32001", "-32001"),
            ("404", "404"),
            ("NOT_FOUND", "\"NOT_FOUND\""),
        ] {
            failure.a2a_code = Some(code.into());
            let end = format!(r#""hint":"do","a2aCode":{json}}}}}"#);
            assert!(text(&failure).ends_with(&end), "{}", text(&failure));
        }
    }
}

//! The one error that reaches callers, and the one table that says what each kind is called on each binding.
//!
//! The HTTP status follows from the gRPC code (specification 5.4); the gRPC code, the JSON-RPC code and the reason
//! stand in [`Kind`]'s table and nowhere else. Rendering is the edge's business (`api::render`).

use std::borrow::Cow;
use std::time::Duration;

use tonic::Code;

/// The domain of every `google.rpc.ErrorInfo` that the protocol defines (specification 10.6).
pub const A2A_DOMAIN: &str = "a2a-protocol.org";

/// The domain of reasons that only this runtime knows.
pub const A2AD_DOMAIN: &str = "a2ad";

/// What went wrong, in the protocol's terms where it has one (specification 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The task does not exist, or the caller may not see it.
    TaskNotFound,
    /// The task is in a terminal state other than CANCELED, or its agent refused.
    TaskNotCancelable,
    /// The agent's card does not declare push notifications.
    PushNotificationNotSupported,
    /// The operation, or this aspect of it, is not supported.
    UnsupportedOperation,
    /// A media type of the request or of the accepted outputs is not supported.
    ContentTypeNotSupported,
    /// The agent produced something that the protocol does not allow.
    InvalidAgentResponse,
    /// The card declares an extended card, and none is configured.
    ExtendedAgentCardNotConfigured,
    /// The card requires an extension that the caller did not declare.
    ExtensionSupportRequired,
    /// The protocol version that the caller named is not supported here.
    VersionNotSupported,
    /// A value of the request is not valid; violations name the fields.
    InvalidParams,
    /// The body is not JSON, or not protobuf.
    ParseError,
    /// The JSON is not a JSON-RPC request.
    InvalidRequest,
    /// The method or route does not exist.
    MethodNotFound,
    /// A push configuration, an agent or another resource that is not a task does not exist.
    NotFound,
    /// The credential is missing, expired or wrong.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// A size or a quota is exceeded.
    ResourceExhausted,
    /// The request's media type is not one that this route takes.
    UnsupportedMediaType,
    /// The route exists, and not for this HTTP method.
    MethodNotAllowed,
    /// The same idempotency key came with a different request, or a concurrent change won.
    Conflict,
    /// The time that the caller gave ran out.
    DeadlineExceeded,
    /// Shutting down, or the database is away; try again.
    Unavailable,
    /// Stored data is damaged; the error names the task and, if it is one, the event.
    DataLoss,
    /// A fault of ours; the log has the rest under the request id.
    Internal,
}

/// A row of the error table.
struct Row {
    grpc: Code,
    json_rpc: i32,
    reason: &'static str,
    a2a: bool,
}

const fn row(grpc: Code, json_rpc: i32, reason: &'static str, a2a: bool) -> Row {
    Row {
        grpc,
        json_rpc,
        reason,
        a2a,
    }
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 24] = [
        Self::TaskNotFound,
        Self::TaskNotCancelable,
        Self::PushNotificationNotSupported,
        Self::UnsupportedOperation,
        Self::ContentTypeNotSupported,
        Self::InvalidAgentResponse,
        Self::ExtendedAgentCardNotConfigured,
        Self::ExtensionSupportRequired,
        Self::VersionNotSupported,
        Self::InvalidParams,
        Self::ParseError,
        Self::InvalidRequest,
        Self::MethodNotFound,
        Self::NotFound,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::UnsupportedMediaType,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::DataLoss,
        Self::Internal,
    ];

    fn row(self) -> Row {
        match self {
            Self::TaskNotFound => row(Code::NotFound, -32001, "TASK_NOT_FOUND", true),
            Self::TaskNotCancelable => row(Code::FailedPrecondition, -32002, "TASK_NOT_CANCELABLE", true),
            Self::PushNotificationNotSupported => row(
                Code::FailedPrecondition,
                -32003,
                "PUSH_NOTIFICATION_NOT_SUPPORTED",
                true,
            ),
            Self::UnsupportedOperation => {
                row(Code::FailedPrecondition, -32004, "UNSUPPORTED_OPERATION", true)
            }
            Self::ContentTypeNotSupported => {
                row(Code::InvalidArgument, -32005, "CONTENT_TYPE_NOT_SUPPORTED", true)
            }
            Self::InvalidAgentResponse => row(Code::Internal, -32006, "INVALID_AGENT_RESPONSE", true),
            Self::ExtendedAgentCardNotConfigured => row(
                Code::FailedPrecondition,
                -32007,
                "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
                true,
            ),
            Self::ExtensionSupportRequired => row(
                Code::FailedPrecondition,
                -32008,
                "EXTENSION_SUPPORT_REQUIRED",
                true,
            ),
            Self::VersionNotSupported => row(Code::FailedPrecondition, -32009, "VERSION_NOT_SUPPORTED", true),
            // Not in the protocol's own table, but the official SDKs tell this error apart by just this reason in
            // the protocol's domain.
            Self::InvalidParams => row(Code::InvalidArgument, -32602, "INVALID_PARAMS", true),
            Self::ParseError => row(Code::InvalidArgument, -32700, "PARSE_ERROR", false),
            Self::InvalidRequest => row(Code::InvalidArgument, -32600, "INVALID_REQUEST", false),
            Self::MethodNotFound => row(Code::Unimplemented, -32601, "METHOD_NOT_FOUND", false),
            Self::NotFound => row(Code::NotFound, -31404, "NOT_FOUND", false),
            Self::Unauthenticated => row(Code::Unauthenticated, -31401, "UNAUTHENTICATED", false),
            Self::PermissionDenied => row(Code::PermissionDenied, -31403, "PERMISSION_DENIED", false),
            Self::ResourceExhausted => row(Code::ResourceExhausted, -31429, "RESOURCE_EXHAUSTED", false),
            Self::UnsupportedMediaType => {
                row(Code::InvalidArgument, -32005, "CONTENT_TYPE_NOT_SUPPORTED", true)
            }
            Self::MethodNotAllowed => row(Code::Unimplemented, -32601, "METHOD_NOT_ALLOWED", false),
            Self::Conflict => row(Code::Aborted, -31409, "CONFLICT", false),
            Self::DeadlineExceeded => row(Code::DeadlineExceeded, -31504, "DEADLINE_EXCEEDED", false),
            Self::Unavailable => row(Code::Unavailable, -32603, "UNAVAILABLE", false),
            Self::DataLoss => row(Code::DataLoss, -31500, "DATA_LOSS", false),
            Self::Internal => row(Code::Internal, -32603, "INTERNAL", false),
        }
    }

    /// The gRPC status code.
    pub fn grpc_code(self) -> Code {
        self.row().grpc
    }

    /// The JSON-RPC error code: the protocol's own, JSON-RPC's, or one of the application range -31xxx where
    /// neither has a number.
    pub fn json_rpc_code(self) -> i32 {
        self.row().json_rpc
    }

    /// The reason in `google.rpc.ErrorInfo`, by which clients tell errors apart.
    pub fn reason(self) -> &'static str {
        self.row().reason
    }

    /// The domain in `google.rpc.ErrorInfo`.
    pub fn domain(self) -> &'static str {
        if self.row().a2a { A2A_DOMAIN } else { A2AD_DOMAIN }
    }

    /// The kind that a reason and its domain mean; `None` if it is none of ours.
    pub fn of_reason(reason: &str, domain: &str) -> Option<Self> {
        let is_it = |kind: &Self| kind.reason() == reason && kind.domain() == domain;
        Self::ALL.into_iter().find(is_it)
    }

    /// The HTTP status: it follows from the gRPC code, but for the three that HTTP itself is stricter about.
    pub fn http_status(self) -> u16 {
        match self {
            Self::UnsupportedMediaType => 415,
            Self::MethodNotAllowed => 405,
            Self::MethodNotFound => 404,
            _ => match self.grpc_code() {
                Code::NotFound => 404,
                Code::Unauthenticated => 401,
                Code::PermissionDenied => 403,
                Code::ResourceExhausted => 429,
                Code::Aborted => 409,
                Code::DeadlineExceeded => 504,
                Code::Unavailable => 503,
                Code::Internal | Code::DataLoss => 500,
                _ => 400,
            },
        }
    }
}

/// One field of a request that is not valid, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, in JSON names: `message.parts[0].text`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// How to authenticate, in the form of `WWW-Authenticate` (RFC 9110 section 11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(pub String);

/// An error as a caller gets it: what happened, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// A sentence for a person; it never carries internals.
    pub message: Cow<'static, str>,
    /// The fields that are not valid.
    pub violations: Vec<Violation>,
    /// More context for `ErrorInfo.metadata`.
    pub metadata: Vec<(&'static str, String)>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// What really happened, for the log only; see [`Error::log`].
    pub cause: Option<Box<str>>,
    /// True when the request was too large: HTTP says 413 then, where a quota says 429.
    pub too_large: bool,
    /// How to authenticate.
    pub challenge: Option<Box<Challenge>>,
}

impl Error {
    /// An error of `kind` with a sentence for the caller.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            violations: Vec::new(),
            metadata: Vec::new(),
            retry_after: None,
            cause: None,
            too_large: false,
            challenge: None,
        }
    }

    /// The answer for a task that does not exist and for one that is somebody else's: the same.
    pub fn task_not_found(task_id: &str) -> Self {
        Self::new(Kind::TaskNotFound, "the task does not exist or is not accessible").with("taskId", task_id)
    }

    /// One field is not valid.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::violations(vec![Violation {
            field: field.into(),
            description: description.into(),
        }])
    }

    /// Several fields are not valid.
    pub fn violations(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [one] if one.field.is_empty() => one.description.clone(),
            [one] => format!("{}: {}", one.field, one.description),
            many => format!("{} fields are not valid; see the field violations", many.len()),
        };
        Self {
            violations,
            ..Self::new(Kind::InvalidParams, message)
        }
    }

    /// A fault of ours: logged in full where it is answered, told to the caller as no more than that.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string().into()),
            ..Self::new(
                Kind::Internal,
                "internal error; the server's log has the cause under this request id",
            )
        }
    }

    /// Stored data of a task is damaged, in event `generation` if it is one that is. Trying again does not help.
    pub fn data_loss(task_id: &str, generation: Option<u64>, cause: String) -> Self {
        let what = generation.map_or_else(
            || format!("stored data of task {task_id}"),
            |generation| format!("event {generation} of task {task_id}"),
        );
        let mut error = Self::new(
            Kind::DataLoss,
            format!("{what} is damaged in the database; an operator can restore it from a backup"),
        )
        .with("taskId", task_id);
        if let Some(generation) = generation {
            error = error.with("generation", generation.to_string());
        }
        error.cause = Some(cause.into());
        error
    }

    /// Logs what really happened under the id that the caller is told. The edge calls this when it answers.
    pub fn log(&self, request_id: &str) {
        if let Some(cause) = &self.cause {
            tracing::error!(
                request.id = request_id,
                reason = self.kind.reason(),
                cause,
                "request failed"
            );
        }
    }

    /// The credential is missing or bad; `challenge` says how to authenticate, in the form of `WWW-Authenticate` (RFC 9110
    /// section 11.6.1).
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>, challenge: String) -> Self {
        Self {
            challenge: Some(Box::new(Challenge(challenge))),
            ..Self::new(Kind::Unauthenticated, message)
        }
    }

    /// The caller is known, and its roles do not allow this.
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::PermissionDenied, message)
    }

    /// Something that we need is away for the moment.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(Kind::Unavailable, message)
        }
    }

    /// The request is larger than a limit, which `message` names.
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            too_large: true,
            ..Self::new(Kind::ResourceExhausted, message)
        }
    }

    /// Adds context to `ErrorInfo.metadata`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// The HTTP status of this error.
    pub fn http_status(&self) -> u16 {
        if self.too_large {
            413
        } else {
            self.kind.http_status()
        }
    }

    /// The JSON-RPC code of this error.
    pub fn json_rpc_code(&self) -> i32 {
        if self.too_large {
            Kind::InvalidRequest.json_rpc_code()
        } else {
            self.kind.json_rpc_code()
        }
    }
}

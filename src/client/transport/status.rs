//! Errors out of the statuses of gRPC (specification 10.6).

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::errors;
use crate::client::{AgentError, Error};
use crate::egress;
use crate::error::{Kind, Violation};

/// The error that a status says. One that was made on this side of the wire has a source.
pub(in crate::client) fn error(address: &str, status: &Status) -> Error {
    match status.source() {
        Some(source) => local(address, status, source),
        None => of_agent(status).into(),
    }
}

fn local(address: &str, status: &Status, source: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = source;
    loop {
        if let Some(error) = cause.downcast_ref::<egress::Error>()
            && !matches!(error, egress::Error::Http(_))
        {
            return Error::Unreachable {
                address: address.to_owned(),
                cause: error.to_string(),
            };
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    let cause = format!("{cause} ({})", status.message());
    Error::Interrupted {
        address: address.to_owned(),
        cause,
    }
}

fn of_agent(status: &Status) -> AgentError {
    let info = status.get_details_error_info();
    let (kind, metadata) = match info {
        Some(info) => (
            errors::of_reason(&info.reason, &info.domain),
            info.metadata.into_iter().collect(),
        ),
        None => (None, Default::default()),
    };
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations);
    let challenge = status.metadata().get("www-authenticate");
    AgentError {
        kind: kind.unwrap_or_else(|| of_code(status.code())),
        code: code_name(status.code()),
        message: status.message().to_owned(),
        violations: violations
            .into_iter()
            .flatten()
            .map(|violation| Violation {
                field: violation.field,
                description: violation.description,
            })
            .collect(),
        metadata,
        retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
        challenge: challenge.and_then(|value| Some(value.to_str().ok()?.to_owned())),
    }
}

/// The kind of a code that comes without details.
pub(super) fn of_code(code: Code) -> Kind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Kind::InvalidParams,
        Code::NotFound => Kind::NotFound,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::PermissionDenied => Kind::PermissionDenied,
        Code::ResourceExhausted => Kind::ResourceExhausted,
        Code::FailedPrecondition => Kind::UnsupportedOperation,
        Code::Unimplemented => Kind::MethodNotFound,
        Code::Aborted | Code::AlreadyExists => Kind::Conflict,
        Code::DeadlineExceeded => Kind::DeadlineExceeded,
        Code::Unavailable => Kind::Unavailable,
        Code::DataLoss => Kind::DataLoss,
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Internal => Kind::Internal,
    }
}

/// The name of a gRPC code as the field writes it.
pub(super) fn code_name(code: Code) -> String {
    let mut name = String::new();
    for (index, letter) in format!("{code:?}").chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

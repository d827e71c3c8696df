//! Errors out of the statuses of gRPC (specification 10.6).

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::errors::{self, DETAILS_MAX, cut};
use super::grpc_channel::ChannelError;
use crate::client::{AgentError, Error};
use crate::egress;
use crate::error::{Kind, Violation};

/// What tonic says of itself, and not the agent, has no source either, but has not been received. What it begins with, and
/// what it means.
const OWN: [(Code, &str, Own); 7] = [
    (
        Code::OutOfRange,
        "Error, decoded message length too large",
        Own::TooLarge,
    ),
    (
        Code::Internal,
        "failed to decode Protobuf message",
        Own::Malformed,
    ),
    (Code::Internal, "protocol error: received message", Own::Malformed),
    (Code::Internal, "Missing response message", Own::Malformed),
    (Code::Unimplemented, "Content is compressed with", Own::Malformed),
    (Code::Internal, "Unexpected EOF decoding stream", Own::Interrupted),
    (
        Code::Unknown,
        "protocol error: missing grpc-status",
        Own::Interrupted,
    ),
];

/// What such a status means.
#[derive(Clone, Copy)]
enum Own {
    TooLarge,
    Malformed,
    Interrupted,
}

/// The error that a status says. One that was made on this side of the wire has a source, or words of tonic and nothing
/// that was received. `limit` is what was awaited, and how many bytes it may have.
pub(in crate::client) fn error(
    address: &str,
    status: &Status,
    is_received: bool,
    limit: (&'static str, usize),
) -> Error {
    if let Some(source) = status.source() {
        return local(address, status, source);
    }
    let is_it = |code: Code, start: &str| {
        !is_received && status.code() == code && status.message().starts_with(start)
    };
    match OWN.iter().find(|(code, start, _)| is_it(*code, start)) {
        None => of_agent(status).into(),
        Some((.., Own::TooLarge)) => Error::TooLarge {
            what: limit.0,
            limit: limit.1,
        },
        Some((.., Own::Malformed)) => Error::Malformed(errors::brief(status.message())),
        Some((.., Own::Interrupted)) => Error::Interrupted {
            address: address.to_owned(),
            cause: errors::brief(status.message()),
        },
    }
}

fn local(address: &str, status: &Status, source: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = source;
    loop {
        match cause.downcast_ref::<ChannelError>() {
            Some(ChannelError::Egress(error)) => return errors::of_egress(address, error),
            Some(ChannelError::Malformed(what)) => return Error::Malformed(what.clone()),
            Some(ChannelError::Agent(error)) => return Error::Agent(error.clone()),
            None => {}
        }
        if let Some(error) = cause.downcast_ref::<egress::Error>() {
            return errors::of_egress(address, error);
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
            info.metadata
                .iter()
                .take(DETAILS_MAX)
                .map(|(name, value)| (cut(name), cut(value)))
                .collect(),
        ),
        None => (None, Default::default()),
    };
    let headers = status.metadata().clone().into_headers();
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations);
    AgentError {
        kind: kind.unwrap_or_else(|| of_code(status.code())),
        code: code_name(status.code()),
        message: cut(status.message()),
        violations: violations
            .into_iter()
            .flatten()
            .take(DETAILS_MAX)
            .map(|violation| Violation {
                field: cut(&violation.field),
                description: cut(&violation.description),
            })
            .collect(),
        metadata,
        retry_after: errors::retry_after(asked, &headers),
        challenge: errors::challenge(&headers),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_tonic_count_only_where_nothing_was_received() {
        for (code, text, _) in OWN {
            let status = Status::new(code, text);
            let of = |is_received| error("x", &status, is_received, ("an answer", 1));
            assert!(of(false).kind().is_none(), "{text}");
            assert!(of(true).kind().is_some(), "{text}");
        }
    }
}

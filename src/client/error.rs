//! Why a call did not succeed, the same on every binding.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use super::AddressError;
use super::card::ReferenceError;
use crate::error::{Kind, Violation};

/// The status of HTTP by which an agent says that a request is too large (RFC 9110 section 15.5.14).
const CONTENT_TOO_LARGE: &str = "413";

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one. Nothing was sent.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The text names no agent. Nothing was sent.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The certificate files can't be used. Nothing was sent.
    #[error(transparent)]
    Tls(#[from] crate::tls::Error),
    /// The request can't be sent by this binding: an id is missing that its path needs, or a number has no JSON form.
    /// Nothing was sent.
    #[error("the request can't be sent: {0}")]
    Unsendable(String),
    /// What was to be uploaded can't be read, or is no longer what it was. The agent has got no whole request.
    #[error("{name} can't be sent: {cause}")]
    Content {
        /// What it is: the path of a file.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The agent can't be reached. Nothing was sent, or of an upload not all, which is as good as nothing.
    #[error("can't reach {address}: {cause}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// The connection broke. The agent may have got the request.
    #[error("the connection to {address} broke: {cause}")]
    Interrupted {
        /// Where the agent is.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// While an upload went out, the agent took no more of it for so long. It has got no whole request.
    #[error("the agent took no more of the request for {0:?}")]
    Stalled(Duration),
    /// No answer came in time. The agent may have got the request.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The agent answered with an error.
    #[error(transparent)]
    Agent(Box<AgentError>),
    /// The answer is not one of the protocol.
    #[error("the agent's answer can't be read: {0}")]
    Malformed(String),
    /// The answer is larger than this client takes.
    #[error("{what} is larger than {limit} bytes, the limit of this client")]
    TooLarge {
        /// What it is: an answer, an event, a card.
        what: &'static str,
        /// How many bytes are taken.
        limit: usize,
    },
    /// The agent's card asks for a credential, and there is none for it. Nothing was sent.
    #[error("{0}")]
    CredentialMissing(String),
    /// The token or key is not sent to this agent, or can't be. Nothing was sent.
    #[error("the credential is not sent: {0}")]
    Credential(String),
    /// The authorization server gave no token. Nothing was sent to the agent.
    #[error("no token: {0}")]
    TokenRefused(String),
    /// The authorization server can't be reached or has trouble; later it may give a token. Nothing was sent to the agent.
    #[error("no token at the moment: {0}")]
    TokenUnavailable(String),
    /// There is no card at the place where it should be.
    #[error("no agent card: {0}")]
    CardNotFound(String),
    /// What is there is not a card, or not one that can be used.
    #[error("the agent card can't be used: {0}")]
    Card(String),
    /// The agent's card says that the agent can't do this. Nothing was sent.
    #[error("{0}")]
    NotSupported(String),
    /// The client holds the call back: too many are under way, or the agent has failed too often of late. Nothing was
    /// sent.
    #[error("the call is held back: {0}")]
    HeldBack(String),
}

/// An error that an agent answered with (specification 3.3.2).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {message}", .kind.reason())]
pub struct AgentError {
    /// What went wrong, in the protocol's terms where it has one.
    pub kind: Kind,
    /// The code of the binding: `NOT_FOUND`, `-32001` or `404`.
    pub code: String,
    /// What the agent says.
    pub message: String,
    /// The fields of the request that are not valid.
    pub violations: Vec<Violation>,
    /// More context, such as the id of the request in the agent's log.
    pub metadata: BTreeMap<String, String>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// How to authenticate, in the form of `WWW-Authenticate` (RFC 9110 section 11.6.1).
    pub challenge: Option<String>,
}

impl Error {
    /// The protocol's kind, if the agent answered.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Agent(error) => Some(error.kind),
            _ => None,
        }
    }

    /// The name of this error in spans and reports: the protocol's reason where the agent answered.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Address(_) => "ADDRESS",
            Self::Tls(_) => "TLS",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::Interrupted { .. } => "INTERRUPTED",
            Self::Stalled(_) => "STALLED",
            Self::Timeout(_) => "TIMEOUT",
            Self::Agent(error) => error.kind.reason(),
            Self::Malformed(_) => "MALFORMED",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::CredentialMissing(_) => "CREDENTIAL_MISSING",
            Self::Credential(_) => "CREDENTIAL",
            Self::CardNotFound(_) => "CARD_NOT_FOUND",
            Self::Card(_) => "CARD",
            Self::NotSupported(_) => "NOT_SUPPORTED",
            Self::HeldBack(_) => "HELD_BACK",
            Self::Reference(_) => "REFERENCE",
            Self::Unsendable(_) => "UNSENDABLE",
            Self::Content { .. } => "CONTENT",
            Self::TokenRefused(_) => "TOKEN_REFUSED",
            Self::TokenUnavailable(_) => "TOKEN_UNAVAILABLE",
        }
    }

    /// Whether the agent can't have got the request.
    pub fn is_unsent(&self) -> bool {
        !matches!(
            self,
            Self::Interrupted { .. }
                | Self::Timeout(_)
                | Self::Agent(_)
                | Self::Malformed(_)
                | Self::TooLarge { .. }
        )
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Timeout(_)
            | Self::TokenUnavailable(_) => true,
            Self::Agent(error) => match error.kind {
                Kind::Unavailable => true,
                // What is too large now is so later.
                Kind::ResourceExhausted => error.code != CONTENT_TOO_LARGE || error.retry_after.is_some(),
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<AgentError> for Error {
    fn from(error: AgentError) -> Self {
        Self::Agent(Box::new(error))
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

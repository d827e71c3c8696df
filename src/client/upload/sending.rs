//! Watching a body go out: what it has come to, and how long it and the answer behind it are waited for.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::Extensions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{ContentError, Pace, SegmentsBody};
use crate::client::{Answer, Error, EventStream, Reply};

/// How long a call with uploads waits.
#[derive(Clone, Debug)]
pub(in crate::client) struct Limits {
    /// Where it goes.
    pub(in crate::client) origin: String,
    /// While the body goes out, for the connection to take the next piece.
    pub(in crate::client) idle: Duration,
    /// For the answer, behind the last piece.
    pub(in crate::client) answer: Duration,
}

/// How far a body has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Sending,
    Sent,
    Failed(ContentError),
}

/// What a body tells of itself.
pub(super) struct Progress {
    said: watch::Sender<(Instant, Stage)>,
    pace: Pace,
}

impl Progress {
    pub(super) fn begin(pace: Pace, limits: Limits) -> (Self, Sending) {
        let (said, heard) = watch::channel((Instant::now(), Stage::Sending));
        (Self { said, pace }, Sending { heard, limits })
    }

    /// A piece went out; whether it was the last one.
    pub(super) fn moved(&self, is_last: bool) {
        self.pace.note();
        let stage = if is_last { Stage::Sent } else { Stage::Sending };
        self.said.send_replace((Instant::now(), stage));
    }

    pub(super) fn failed(&self, error: ContentError) {
        self.said.send_replace((Instant::now(), Stage::Failed(error)));
    }

    /// Whether nobody wants to know any more.
    pub(super) fn is_unwatched(&self) -> bool {
        self.said.is_closed()
    }
}

/// A body that goes out. Whoever drops this wants no more of it to be sent.
pub(in crate::client) struct Sending {
    heard: watch::Receiver<(Instant, Stage)>,
    limits: Limits,
}

impl Sending {
    /// Waits for what the exchange comes to. An answer counts even if it comes before the end of the body.
    ///
    /// # Errors
    /// That of the exchange; [`Error::Content`] when the body failed; [`Error::Unreachable`] when the connection broke before
    /// its end, or takes no more of it: nobody acts on the half of a request. [`Error::Timeout`] when there is no answer
    /// behind it.
    pub(in crate::client) async fn answered<T>(
        &mut self,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut exchange = pin!(exchange);
        let mut is_told = true;
        loop {
            let (since, stage) = self.heard.borrow_and_update().clone();
            let limit = match stage {
                Stage::Failed(error) => return Err(error.into()),
                Stage::Sending => self.limits.idle,
                Stage::Sent => self.limits.answer,
            };
            let over = async {
                match since.checked_add(limit) {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = exchange.as_mut() => return answer.map_err(|error| self.cause(error)),
                told = self.heard.changed(), if is_told => is_told = told.is_ok(),
                () = over => return Err(self.late()),
            }
        }
    }

    /// What an exchange ended by: a body that failed breaks the connection off.
    fn cause(&self, error: Error) -> Error {
        match (&self.heard.borrow().1, error) {
            (Stage::Failed(failed), error) if error.kind().is_none() => failed.clone().into(),
            (Stage::Sending, Error::Interrupted { address, cause }) => Error::Unreachable {
                address,
                cause: format!("the connection broke before the end of the request: {cause}"),
            },
            (_, error) => error,
        }
    }

    fn late(&self) -> Error {
        match self.heard.borrow().1 {
            Stage::Sent => Error::Timeout(self.limits.answer),
            _ => Error::Unreachable {
                address: self.limits.origin.clone(),
                cause: format!("no more of the request could be sent for {:?}", self.limits.idle),
            },
        }
    }

    /// The reply; a stream that begins before the body is at its end keeps it going as long as it is read.
    pub(in crate::client) fn keep(self, reply: Reply) -> Reply {
        match reply.answer {
            Answer::Events(events) => Reply {
                answer: Answer::Events(EventStream::new(events.inspect(move |_| {
                    let _kept = &self;
                }))),
                ..reply
            },
            _ => reply,
        }
    }
}

/// A body on its way through tonic, which knows only messages: it goes along with a request, and takes the place of its body
/// behind tonic.
#[derive(Clone)]
pub(in crate::client) struct SwappedBody(Arc<Mutex<Option<SegmentsBody>>>);

impl SwappedBody {
    pub(in crate::client) fn put(body: SegmentsBody, extensions: &mut Extensions) {
        extensions.insert(Self(Arc::new(Mutex::new(Some(body)))));
    }

    /// The body, if the request has one and it was not taken before.
    pub(in crate::client) fn take(extensions: &mut Extensions) -> Option<SegmentsBody> {
        let Self(body) = extensions.remove()?;
        body.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl From<ContentError> for Error {
    fn from(error: ContentError) -> Self {
        let ContentError { name, cause } = error;
        Self::Content { name, cause }
    }
}

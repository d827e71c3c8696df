//! Watching a body go out: what it has come to, and how long it and the answer behind it are waited for.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::Extensions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Content, ContentError, Pace, SegmentsBody};
use crate::client::{Answer, Error, EventStream, Reply};
use crate::egress::HangUp;

/// How long a call with uploads waits.
#[derive(Clone, Debug)]
pub(in crate::client) struct Limits {
    /// While the body goes out, for the connection to take the next piece, and for the content to have it.
    pub(in crate::client) idle: Duration,
    /// For the answer, behind the last piece.
    pub(in crate::client) answer: Duration,
}

/// How far a body has come. From the first two it changes once more at most, so that a piece that makes the request whole
/// and giving up never both happen.
#[derive(Clone, Debug)]
enum Stage {
    /// The connection has to take what was read, and to ask for more.
    Sending,
    /// The next piece of this is being read, which is nothing that the agent has to do with.
    Reading(Arc<dyn Content>),
    /// All of it was given away.
    Sent,
    /// It can't be read.
    Failed(ContentError),
    /// Nobody waits for the answer any more, and no more of it is given away.
    GivenUp,
}

impl Stage {
    fn is_open(&self) -> bool {
        matches!(self, Self::Sending | Self::Reading(_))
    }
}

/// Since when it is so.
type State = watch::Sender<(Instant, Stage)>;

/// What a body tells of itself.
#[derive(Clone)]
pub(super) struct Progress {
    state: Arc<State>,
    pace: Pace,
}

impl Progress {
    pub(super) fn begin(pace: Pace, limits: Limits) -> (Self, Sending) {
        let (state, heard) = watch::channel((Instant::now(), Stage::Sending));
        let state = Arc::new(state);
        let sending = Sending {
            state: state.clone(),
            heard,
            limits,
            hang_up: HangUp::default(),
        };
        (Self { state, pace }, sending)
    }

    /// Whether it has changed: what is at an end does not.
    fn change(&self, next: Stage) -> bool {
        self.state.send_if_modified(|(since, stage)| {
            let is_open = stage.is_open();
            if is_open {
                (*since, *stage) = (Instant::now(), next);
            }
            is_open
        })
    }

    /// A piece of this is being read.
    pub(super) fn reading(&self, content: &Arc<dyn Content>) {
        self.change(Stage::Reading(content.clone()));
    }

    /// A piece is there to go out, and whether it is the last one; false if it must not, because somebody has been told that
    /// the request was not sent.
    #[must_use]
    pub(super) fn moved(&self, is_last: bool) -> bool {
        let is_wanted = self.change(if is_last { Stage::Sent } else { Stage::Sending });
        if is_wanted {
            self.pace.note();
        }
        is_wanted
    }

    pub(super) fn failed(&self, error: ContentError) {
        self.change(Stage::Failed(error));
    }

    /// Waits until nobody wants to know any more.
    pub(super) async fn given_up(&self) {
        let mut heard = self.state.subscribe();
        // It can't be closed while it is held here.
        let _ = heard.wait_for(|(_, stage)| matches!(stage, Stage::GivenUp)).await;
    }
}

/// A body that goes out, on a connection of its own. Whoever drops this wants no more of it to be sent, and that connection
/// ends.
pub(in crate::client) struct Sending {
    state: Arc<State>,
    heard: watch::Receiver<(Instant, Stage)>,
    limits: Limits,
    hang_up: HangUp,
}

impl Sending {
    /// What ends the connection.
    pub(in crate::client) fn hang_up(&self) -> HangUp {
        self.hang_up.clone()
    }

    /// Waits for what the exchange comes to. An answer counts even if it comes before the end of the body.
    ///
    /// # Errors
    /// That of the exchange; [`Error::Content`] when the body failed, or could not be read for too long;
    /// [`Error::Unreachable`] when the connection broke before its end, and [`Error::Stalled`] when it takes no more of it:
    /// nobody acts on the half of a request. [`Error::Timeout`] when there is no answer behind it.
    pub(in crate::client) async fn answered<T>(
        &mut self,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut exchange = pin!(exchange);
        loop {
            let (since, stage) = self.heard.borrow_and_update().clone();
            let limit = match &stage {
                Stage::Failed(error) => return Err(error.clone().into()),
                Stage::Sent => self.limits.answer,
                _ => self.limits.idle,
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
                // It can't be closed while it is held here.
                _ = self.heard.changed() => {}
                () = over => match (self.give_up(), stage) {
                    (Stage::Sending, _) => return Err(Error::Stalled(limit)),
                    (Stage::Reading(content), _) => return Err(silent(&*content, limit)),
                    (Stage::Sent, Stage::Sent) => return Err(Error::Timeout(limit)),
                    // It came to its end in the last moment.
                    _ => {}
                },
            }
        }
    }

    /// No more is given away from here on, unless all of it was. How far it had come.
    fn give_up(&self) -> Stage {
        let mut was = Stage::GivenUp;
        self.state.send_if_modified(|(_, stage)| {
            was = stage.clone();
            let is_open = stage.is_open();
            if is_open {
                *stage = Stage::GivenUp;
            }
            is_open
        });
        was
    }

    /// What an exchange ended by: a body that failed breaks the connection off.
    fn cause(&self, error: Error) -> Error {
        match (self.give_up(), error) {
            (Stage::Failed(failed), error) if error.kind().is_none() => failed.into(),
            (Stage::Sending | Stage::Reading(_), Error::Interrupted { address, cause }) => {
                Error::Unreachable {
                    address,
                    cause: format!("the connection broke before the end of the request: {cause}"),
                }
            }
            (_, error) => error,
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

impl Drop for Sending {
    fn drop(&mut self) {
        self.give_up();
        self.hang_up.now();
    }
}

fn silent(content: &dyn Content, limit: Duration) -> Error {
    Error::Content {
        name: content.name().to_owned(),
        cause: format!("nothing more of it could be read for {limit:?}"),
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

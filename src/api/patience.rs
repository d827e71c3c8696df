//! Request bodies that must not dawdle.
//!
//! A caller that sends half a request holds one of the places for requests in flight. The time starts when the body has
//! nothing to give, so a body that is there already never touches a timer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::codegen::StdError;

pin_project! {
    /// A body each of whose pieces must come within a time.
    pub(super) struct PatientBody<B> {
        #[pin]
        inner: B,
        patience: Duration,
        deadline: Option<Pin<Box<Sleep>>>,
    }
}

/// The next piece of a body did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("nothing more of the body came within {0:?}")]
struct TooSlow(Duration);

impl<B> PatientBody<B> {
    pub(super) fn new(inner: B, patience: Duration) -> Self {
        Self {
            inner,
            patience,
            deadline: None,
        }
    }
}

impl<B> Body for PatientBody<B>
where
    B: Body,
    B::Error: Into<StdError>,
{
    type Data = B::Data;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = *this.patience;
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(TooSlow(patience)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_in_the_middle_is_given_up() {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"half")));
        let pieces = stream::iter([piece()]).chain(stream::pending());
        let mut body = PatientBody::new(StreamBody::new(pieces), PATIENCE);
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        let begun = tokio::time::Instant::now();
        assert!(body.frame().await.is_some_and(|frame| frame.is_err()));
        assert!(begun.elapsed() >= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_whose_pieces_keep_coming_may_take_as_long_as_it_likes() {
        let pieces = stream::unfold(0, |sent| async move {
            tokio::time::sleep(PATIENCE / 2).await;
            (sent < 10).then(|| {
                (
                    Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))),
                    sent + 1,
                )
            })
        });
        let body = PatientBody::new(StreamBody::new(Box::pin(pieces)), PATIENCE);
        assert_eq!(body.collect().await.expect("a whole body").to_bytes().len(), 10);
    }

    #[test]
    fn what_is_known_of_the_body_stays_known() {
        let body = PatientBody::new(Full::new(Bytes::new()), PATIENCE);
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
